"""What `procsup check --unit` understands of a service unit."""

import math
from pathlib import Path

import pytest

from procsup.config.complaint import Complaint
from procsup.config.stop_time import StopTime
from procsup.config.unit import NoUnit, Unit, find_unit, span, unit_complaints

CHECKOUT = Path(__file__).resolve().parents[2]

GOOD = "[Service]\nType=notify\nNotifyAccess=all\nKillMode=mixed\n"


class Root:
    """A machine's folders."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> str:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def find(self, name: str) -> Unit:
        return find_unit(name, str(self.path))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def complaints(unit: Unit, seconds: float) -> list[str]:
    return [complaint.path for complaint in unit_complaints(unit, StopTime(seconds, ()))]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("1min 30s", 90), ("1min30s", 90), ("2.5s", 2.5), ("500ms", 0.5), ("1h", 3600),
        ("infinity", math.inf), ("2 hours", 7200), ("5m", 300), ("1M", 2629800), ("10us", 1e-5), ("0", 0),
        ("", None), ("soon", None), ("5 parsecs", None), ("-5", None), ("5s and more", None),
    ],
)  # fmt: skip
def test_span_is_read_as_systemd_does(text: str, seconds: float | None) -> None:
    assert span(text) == (None if seconds is None else pytest.approx(seconds))


def test_unit_of_the_system_is_found_by_its_name(root: Root) -> None:
    root.write("usr/lib/systemd/system/p.service", "[Service]\nTimeoutStopSec=1\n")
    own = root.write("etc/systemd/system/p.service", "[Service]\nTimeoutStopSec=2\n")
    assert (root.find("p.service").file, root.find("p.service").timeout_stop) == (own, 2)
    assert root.find("p") == root.find("p.service")


def test_instance_is_found_by_its_template(root: Root) -> None:
    root.write("etc/systemd/system/p@.service", "[Service]\nTimeoutStopSec=1\n")
    root.write("etc/systemd/system/p@alice.service.d/x.conf", "[Service]\nTimeoutStopSec=3\n")
    assert root.find("p@alice.service").timeout_stop == 3
    assert root.find("p@bob.service").timeout_stop == 1


def test_unit_that_is_not_installed_is_found_by_its_path(root: Root) -> None:
    path = root.write("x/p.service", "[Service]\nTimeoutStopSec=4\n")
    root.write("x/p.service.d/a.conf", "[Service]\nTimeoutStopSec=5\n")
    assert root.find(path).timeout_stop == 5


@pytest.mark.parametrize("name", ["p.service", "/no/such/p.service"])
def test_unit_that_is_not_there_is_an_error(root: Root, name: str) -> None:
    with pytest.raises(NoUnit, match="cannot"):
        root.find(name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 90),
        ("TimeoutStopSec=5\nTimeoutStopSec=6\n", 6),
        ("TimeoutStopSec=5\nTimeoutStopSec=\n", 90),
        ("TimeoutSec=7\n", 7),
        ("# TimeoutStopSec=5\n; TimeoutStopSec=5\n", 90),
        ("TimeoutStopSec=1min \\\n# in between\n  5s\n", 65),
        ("  TimeoutStopSec = 8 \n", 8),
        ("TimeoutStopSec=soon\n", 90),
        ("TimeoutStopSec=0\n", math.inf),
        ("[Unit]\nTimeoutStopSec=5\n", 90),
    ],
)
def test_last_assignment_counts(root: Root, text: str, seconds: float) -> None:
    assert root.find(root.write("p.service", f"[Service]\n{text}")).timeout_stop == seconds


def test_what_amends_a_unit_counts_in_order_of_the_names_and_the_first_folder_first(root: Root) -> None:
    root.write("usr/lib/systemd/system/p.service", "[Service]\nTimeoutStopSec=1\n")
    root.write("usr/lib/systemd/system/p.service.d/20.conf", "[Service]\nTimeoutStopSec=2\n")
    root.write("etc/systemd/system/p.service.d/10.conf", "[Service]\nTimeoutStopSec=3\n")
    assert root.find("p.service").timeout_stop == 2
    root.write("etc/systemd/system/p.service.d/20.conf", "[Service]\nKillMode=mixed\n")
    assert root.find("p.service").timeout_stop == 3


def test_default_is_the_managers(root: Root) -> None:
    path = root.write("p.service", "[Service]\n")
    root.write("etc/systemd/system.conf", "[Manager]\nDefaultTimeoutStopSec=10s\n")
    assert root.find(path).timeout_stop == 10
    root.write("etc/systemd/system.conf.d/x.conf", "[Manager]\nDefaultTimeoutStopSec=11s\n")
    assert root.find(path).timeout_stop == 11


def test_unit_that_waits_too_short_and_does_not_hear_the_daemon_is_warned_of(root: Root) -> None:
    path = root.write("p.service", "[Service]\nKillMode=mixed\nTimeoutStopSec=10\n")
    unit = root.find(path)
    assert complaints(unit, 10) == []
    assert unit_complaints(unit, StopTime(10.5, ())) == (
        Complaint(
            path,
            3,
            "Service.TimeoutStopSec",
            "the tree may need longer than that to stop, and systemd kills whatever is left then",
            "TimeoutStopSec=10",
            "TimeoutStopSec=11s, or more; or NotifyAccess=all, so that the daemon can ask for more time",
            warning=True,
        ),
    )
    assert complaints(unit, math.inf) == ["Service.TimeoutStopSec"]


def test_warning_says_that_a_daemon_that_is_heard_asks_for_more_time(root: Root) -> None:
    unit = root.find(root.write("p.service", f"{GOOD}TimeoutStopSec=10\n"))
    (complaint,) = unit_complaints(unit, StopTime(11, ()))
    assert complaint.expected == "TimeoutStopSec=11s, or more"
    assert "as long as the daemon asks it to" in complaint.problem
    assert complaints(unit, 10) == []


def test_unit_that_waits_for_what_it_cannot_hear_is_warned_of(root: Root) -> None:
    unit = root.find(root.write("p.service", GOOD.replace("NotifyAccess=all", "NotifyAccess=main")))
    assert complaints(unit, 1) == ["Service.NotifyAccess"]


@pytest.mark.parametrize("text", ["", "KillMode=control-group\n"])
def test_unit_that_stops_everybody_at_once_is_warned_of(root: Root, text: str) -> None:
    unit = root.find(root.write("p.service", f"[Service]\n{text}"))
    assert complaints(unit, 1) == ["Service.KillMode"]


@pytest.mark.parametrize("name", ["procsup.service", "procsup@.service"])
def test_our_own_units_suit_every_tree_that_stops_in_time(name: str) -> None:
    unit = find_unit(str(CHECKOUT / "etc" / name))
    assert math.isfinite(unit.timeout_stop), "a daemon that hangs while it stops is not waited for"
    assert complaints(unit, unit.timeout_stop) == []
