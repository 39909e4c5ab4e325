"""procsup as a service of a real systemd: etc/procsup.service as it is, and etc/procsup@.service."""

from tests.kit.trees import sh, supervisor, tree, worker, workers
from tests.kit.wait import wait_until
from tests.systemd.machine import CHECKOUT, PROCSUP, UNITS, Machine, Service

IGNORES_TERM = sh("trap '' TERM; while :; do sleep 1000; done")


def unit(name: str) -> str:
    return (CHECKOUT / "etc" / name).read_text()


# Up and down


def test_units_are_understood(machine: Machine) -> None:
    for name in ("procsup.service", "procsup@.service"):
        machine.write(f"/run/verify/{name}", unit(name))
    said = machine.run("systemd-analyze", "verify", "/run/verify/procsup.service", "/run/verify/procsup@root.service")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_service_is_started_when_the_tree_is_up_and_says_how_it_is(machine: Machine) -> None:
    with machine.service(workers("a b")) as service:
        service.start()

        assert service.show("SubState") == "running"
        assert service.show("StatusText") == "2 workers up"
        assert service.pids().keys() == {"a", "b"}
        machine.check(PROCSUP, "stop", "b")
        service.wait_until_shown("StatusText", "1 of 2 workers up; down: b (held)")

        service.stop()

        assert service.show("Result") == "success"
        assert service.everybody() == []


def test_start_waits_for_a_tree_that_takes_longer_than_the_unit_says(machine: Machine) -> None:
    slow = sh("""sleep 4; echo '{"type":"ready"}' >&4; exec sleep 1000""")
    with machine.service(tree(worker("a"), worker("b", slow, ready="channel")), "TimeoutStartSec=3s") as service:
        machine.systemctl("start", "--no-block", "procsup")
        service.wait_until_shown("StatusText", "starting: 1 worker up; waiting for: b")
        assert service.show("SubState") == "start"

        service.start()

        assert service.show("StatusText") == "2 workers up"
        assert service.show("NRestarts") == "0"


def test_tree_that_cannot_start_is_a_start_that_failed(machine: Machine) -> None:
    with machine.service(tree(worker("a"), worker("b", "/no/such/program")), "Restart=no") as service:
        assert machine.run("systemctl", "start", "procsup").returncode != 0

        assert (service.show("ActiveState"), service.show("ExecMainStatus")) == ("failed", "69")
        assert service.show("StatusText") == "stopped (failed_to_start_child b start_failed exec ENOENT)"
        assert service.everybody() == []


def test_file_that_cannot_be_used_is_not_tried_again(machine: Machine) -> None:
    with machine.service("[worker.a]\n", "RestartSec=0") as service:
        assert machine.run("systemctl", "start", "procsup").returncode != 0

        assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
        assert service.show("ExecMainStatus") == "78"
        assert "the worker has no command" in service.journal()


def test_worker_that_does_not_obey_is_killed_when_its_shutdown_time_is_over(machine: Machine) -> None:
    with machine.service(worker("stubborn", IGNORES_TERM, shutdown=0.3)) as service:
        service.start()
        service.stop()

        assert service.show("Result") == "success"
        assert "stubborn      killed: it was still there 0.3s after SIGTERM" in service.journal()
        assert service.everybody() == []


def test_stop_may_take_longer_than_the_unit_says_if_the_tree_says_so(machine: Machine) -> None:
    slow = sh("trap 'sleep 3; echo told > /run/slow; exit' TERM; while :; do sleep 0.1; done")
    with machine.service(worker("slow", slow, shutdown="20s"), "TimeoutStopSec=2s") as service:
        service.start()
        service.stop()

        assert service.show("Result") == "success"
        assert machine.path("/run/slow").read_text() == "told\n"


# A reload


def test_reload_changes_the_tree_and_leaves_alone_what_has_not_changed(machine: Machine) -> None:
    with machine.service(workers("a b")) as service:
        service.start()
        before, main = service.pids(), service.guardian
        service.load(workers("a c"))

        machine.systemctl("reload", "procsup")

        after = service.pids()
        assert after.keys() == {"a", "c"}
        assert (after["a"], service.guardian) == (before["a"], main)
        service.wait_until_shown("SubState", "running")


def test_reload_of_a_file_that_cannot_be_used_fails_and_changes_nothing(machine: Machine) -> None:
    with machine.service(workers("a b")) as service:
        service.start()
        before = service.pids()
        service.load("[worker.a]\n")

        assert machine.run("systemctl", "reload", "procsup").returncode != 0

        assert service.pids() == before
        service.wait_until_shown("SubState", "running")


# Deaths


FAMILY = sh("sleep 1000 & wait")
"""Two processes."""


def killed_and_restarted(service: Service, number: str, victim: int) -> None:
    """Nobody of the old life is left, and everybody of the new one is there once."""
    old = service.everybody()
    service.machine.kill(number, victim)
    service.wait_until_restarted()
    assert not [pid for pid in old if service.machine.is_there(pid)]
    assert_all_are_there_once(service, "ab")


def assert_all_are_there_once(service: Service, names: str) -> None:
    """And in cgroups of their own, two processes in each; beside the daemon is nobody but its own."""
    pids, cgroups = service.pids(), service.cgroups()
    ours = cgroups.pop(".")
    assert {service.guardian, service.daemon} <= set(ours)
    assert len(ours) <= 3, "guardian, daemon and spawner"
    assert len(cgroups) == len(names), cgroups
    for name in names:
        (members,) = (pids for cgroup, pids in cgroups.items() if cgroup.endswith(f".{name}"))
        assert pids[name] in members
        assert len(members) == 2


def test_every_worker_has_a_cgroup_of_its_own(machine: Machine) -> None:
    with machine.service(workers("a b", FAMILY)) as service:
        service.start()
        assert service.status()["daemon"]["containment"] == "cgroup"
        assert_all_are_there_once(service, "ab")


def test_no_controller_is_switched_on_above_processes(machine: Machine) -> None:
    """Else the kernel would let nobody in (cgroups(7), "no internal processes")."""
    with machine.service(workers("a")) as service:
        service.start()
        top = machine.path("/sys/fs/cgroup/system.slice/procsup.service")
        switched_on = [file.read_text().strip() for file in top.rglob("cgroup.subtree_control")]
        assert switched_on == ["", "", ""]  # its own, the daemon's folder, the worker's


def test_service_is_restarted_after_the_daemon_was_killed(machine: Machine) -> None:
    with machine.service(workers("a b", FAMILY), "RestartSec=0") as service:
        service.start()
        killed_and_restarted(service, "KILL", service.daemon)
        assert "was killed by signal 9" in service.journal()


def test_service_is_restarted_after_the_guardian_was_killed(machine: Machine) -> None:
    with machine.service(workers("a b", FAMILY), "RestartSec=0") as service:
        service.start()
        killed_and_restarted(service, "KILL", service.guardian)


def test_daemon_that_hangs_says_where_and_the_service_is_restarted(machine: Machine) -> None:
    with machine.service(workers("a b", FAMILY), "RestartSec=0", "WatchdogSec=2s") as service:
        service.start()
        killed_and_restarted(service, "STOP", service.daemon)
        journal = service.journal()
        assert "Watchdog timeout" in journal
        assert "Fatal Python error: Aborted" in journal
        assert "in turn" in journal


def test_daemon_that_is_well_tells_the_watchdog_again_and_again(machine: Machine) -> None:
    with machine.service(workers("a"), "WatchdogSec=2s") as service:
        service.start()
        for _ in range(2):
            last = service.show("WatchdogTimestampMonotonic")
            wait_until(lambda: service.show("WatchdogTimestampMonotonic") != last, "it was told")  # noqa: B023  # now
        assert (service.show("NRestarts"), service.show("SubState")) == ("0", "running")


def test_poison_pill_ends_at_the_start_limit(machine: Machine) -> None:
    pill = tree(supervisor("root", ["villager", "pill"], intensity=1), worker("villager"), worker("pill", sh("exit 7")))
    limit = ("RestartSec=0", "[Unit]", "StartLimitBurst=3")
    with machine.service(pill, *limit) as service:
        machine.run("systemctl", "start", "procsup")  # the tree is up before it falls, and may be so when systemd looks
        service.wait_until_shown("ActiveState", "failed")

        assert service.show("ExecMainStatus") == "70"
        assert service.show("StatusText") == "stopped (gave_up)"
        journal = service.journal()
        assert "Start request repeated too quickly" in journal
        assert journal.count("starts the tree of") == 3
        assert "why: pill exited with code 7" in journal
        assert service.everybody() == []


# Workers


def test_what_a_worker_writes_to_the_journal_stands_there_under_its_name(machine: Machine) -> None:
    crier = worker("town_crier", sh("echo hear ye; echo '<3>the library burns' >&2; exec sleep 1000"),
                   stdout="journal", stderr="journal")  # fmt: skip
    with machine.service(crier) as service:
        service.start()
        wait_until(lambda: "burns" in service.journal("-t", "town_crier"), "both lines are there")
        assert service.journal("-t", "town_crier").splitlines() == ["hear ye", "the library burns"]
        assert service.journal("-t", "town_crier", "-p", "err") == "the library burns\n"


def test_worker_may_have_another_user_a_higher_priority_and_other_limits(machine: Machine) -> None:
    script = sh("id -un > /tmp/who; nice >> /tmp/who; ulimit -n >> /tmp/who; exec sleep 1000")
    with machine.service(worker("a", script, user="nobody", nice=-5, limits={"nofile": 3000})) as service:
        service.start()
        who = machine.path("/tmp/who")
        wait_until(lambda: who.exists() and who.read_text().count("\n") == 3, "it has said who it is")
        assert who.read_text().splitlines() == ["nobody", "-5", "3000"]


# A user's own

AS_ALICE = ("setpriv", "--reuid=alice", "--regid=alice", "--init-groups")


def test_user_has_a_tree_of_his_own(machine: Machine) -> None:
    machine.check("useradd", "--create-home", "alice")
    machine.write(f"{UNITS}/procsup@.service", unit("procsup@.service"))
    machine.write("/home/alice/.config/procsup/procsup.toml", workers("a b"))
    machine.check("chown", "-R", "alice:", "/home/alice")
    machine.systemctl("daemon-reload")
    try:
        machine.systemctl("start", "procsup@alice")
        assert machine.show("procsup@alice", "StatusText") == "2 workers up"
        socket = "PROCSUP_SOCKET=/run/procsup-alice/procsup.sock"
        status = machine.check(*AS_ALICE, "env", socket, PROCSUP, "status")
        assert "containment: cgroup" in status
        pid = int(status.split()[status.split().index("pid") + 1].strip(","))
        assert machine.check("stat", "-c", "%U", f"/proc/{pid}") == "alice\n"
        assert machine.path("/home/alice/.local/state/procsup/journal.jsonl").exists()
    finally:
        machine.systemctl("stop", "procsup@alice")
    assert machine.show("procsup@alice", "Result") == "success"


def test_unit_of_the_users_own_systemd_is_made_by_sed_as_the_unit_says(machine: Machine) -> None:
    (command,) = (line for line in unit("procsup@.service").splitlines() if line.startswith("#   sed "))
    script = command.lstrip("# ").split(" >")[0].replace("etc/procsup@.service", "/run/verify/system@.service")
    machine.write("/run/verify/system@.service", unit("procsup@.service"))
    own = machine.check("sh", "-c", script)
    assert "User=" not in own
    assert "WantedBy=default.target" in own
    machine.write("/run/verify/user/procsup@.service", own)
    verify = ("systemd-analyze", "--user", "verify", "/run/verify/user/procsup@alice.service")
    said = machine.run("env", "XDG_RUNTIME_DIR=/run/verify", *verify)
    assert (said.returncode, said.stderr) == (0, "")
