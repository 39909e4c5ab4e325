#!/bin/bash
# boot.sh [LAYER]: a throw-away systemd, process 1 of namespaces of its own, for as long as standard input is open.
#
# Writes the pid of that process 1 to standard output once the system is up. Its root is an overlay over this machine's:
# everything is there under the same path, and what is written goes to a tmpfs and with it. LAYER is a folder that is
# laid over the root, to try another systemd. Needs root, an installed systemd and cgroups of version 2; where systemd
# cannot be started the status is 125. All ends with this script, however that ends.
set -u -o pipefail

fail() { echo "boot.sh: $*" >&2; exit 125; }

# Below, in this order: the script as it was called, process 1 while it still has the machine's root, and in its own.

main() {
	[ "$(id -u)" = 0 ] || fail "only root can start a systemd"
	[ -x /lib/systemd/systemd ] || fail "there is no systemd on this machine"
	local program
	for program in systemctl journalctl systemd-run dbus-daemon unshare nsenter setpriv findmnt pivot_root; do
		command -v $program >/dev/null || fail "there is no $program on this machine"
	done
	local hierarchy
	hierarchy=$(findmnt -n -r -o TARGET -t cgroup2 | head -n1)
	[ -n "$hierarchy" ] || fail "cgroups of version 2 are not mounted"
	export LAYER=${1-} WORK CGROUP
	WORK=$(mktemp -d /run/procsup-test-XXXXXX) || fail "no folder can be made in /run"
	CGROUP=$hierarchy$(sed -n 's/^0:://p' /proc/self/cgroup | sed 's,^/$,,')/${WORK##*/}
	init='' unshare=''
	trap clean_up EXIT
	trap 'exit 143' INT TERM HUP
	mkdir "$CGROUP" || fail "no cgroup can be made"
	# When this script is killed, unshare dies, with it (--kill-child) process 1, and so everybody in the namespace.
	setpriv --pdeathsig KILL unshare --mount --propagation private --uts --ipc --pid --net --fork --kill-child=KILL \
		-- /bin/bash "$0" in-the-old-root </dev/null >"$WORK/log" 2>&1 &
	unshare=$!
	wait_until_up
	echo "$init"
	exec >&-
	read -r
}

wait_until_up() {
	local state end=$((SECONDS + 60))
	until [ -n "$init" ] && [ -S "/proc/$init/root/run/systemd/private" ]; do
		kill -0 "$unshare" 2>/dev/null && [ $SECONDS -lt $end ] || fail "systemd did not come up: $(cat "$WORK/log")"
		[ ! -s "$WORK/init" ] || init=$(cat "$WORK/init")
		sleep 0.02
	done
	state=$(timeout 60 nsenter -t "$init" -m -u -i -n -p -C -r -w -- systemctl is-system-running --wait 2>&1)
	case $state in running | degraded) ;; *) fail "systemd says: $state" ;; esac
}

clean_up() {
	local status=$?
	trap '' INT TERM HUP EXIT
	[ -z "$init" ] || kill -KILL "$init" 2>/dev/null
	if [ -n "$unshare" ]; then
		kill -KILL "$unshare" 2>/dev/null
		wait "$unshare" 2>/dev/null
	fi
	if [ -d "$CGROUP" ]; then
		echo 1 >"$CGROUP/cgroup.kill" 2>/dev/null
		local again
		for again in $(seq 100); do
			find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null
			[ -d "$CGROUP" ] || break
			sleep 0.05
		done
	fi
	rm -rf --one-file-system "$WORK"
	exit "$status"
}

in_the_old_root() {
	set -e
	local pid root=$WORK/m/root place kind n=0
	read -r pid _ </proc/self/stat # the old /proc: as the machine counts
	echo "$pid" >"$WORK/init.new"
	mkdir "$WORK/m"
	mount -t tmpfs -o size=1G,mode=755 procsup-test "$WORK/m"
	mkdir "$WORK/m/upper" "$WORK/m/work" "$root"
	[ -z "$LAYER" ] || cp -a "$LAYER/." "$WORK/m/upper/"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/m/upper,workdir=$WORK/m/work" "$root"
	while read -r place kind; do # other file systems of the machine: an overlay each
		case $place in / | /proc* | /sys* | /dev* | /run* | "$WORK"*) continue ;; esac
		case $kind in proc | sysfs | cgroup* | devtmpfs | devpts | mqueue) continue ;; esac
		n=$((n + 1))
		[ -d "$root$place" ] && [ -d "$place" ] || continue
		mkdir "$WORK/m/upper.$n" "$WORK/m/work.$n"
		mount -t overlay overlay -o "lowerdir=$place,upperdir=$WORK/m/upper.$n,workdir=$WORK/m/work.$n" "$root$place" ||
			mount --bind -o ro "$place" "$root$place" || true
	done < <(awk '{ for (i = 7; $i != "-"; i++); print $5, $(i + 1) }' /proc/self/mountinfo | sort -u)
	echo 0 >"$CGROUP/cgroup.procs"
	mv "$WORK/init.new" "$WORK/init"
	exec unshare --cgroup -- /bin/bash "$0" in-the-new-root
}

in_the_new_root() {
	set -e
	local root=$WORK/m/root name
	mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
	mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
	mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
	mount -o remount,ro,bind "$root/sys"
	# Read-only, or systemd would set sysctls of the whole machine.
	mount --rbind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,ro,bind "$root/proc/sys"
	for name in sysrq-trigger kmsg kcore; do
		[ ! -e "$root/proc/$name" ] || mount --bind /dev/null "$root/proc/$name"
	done
	mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
	for name in null zero full random urandom tty; do
		: >"$root/dev/$name"
		mount --bind "/dev/$name" "$root/dev/$name"
	done
	mkdir "$root/dev/pts" "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
	mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"
	configure "$root/etc"
	cd "$root"
	mkdir -p .old
	pivot_root . .old
	umount -l /.old
	rmdir /.old
	mount --make-rshared /
	exec setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-mac_admin,-mac_override,-sys_pacct \
		env -i container=procsup-test LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=test.target </dev/null
}

# Nothing but journald, D-Bus, and what the tests start.
configure() {
	local etc=$1 unit
	rm -rf "$etc/systemd/system" "$etc/systemd/system.conf.d" "$etc/systemd/journald.conf.d" \
		"$etc/systemd/system-generators"
	mkdir -p "$etc/systemd/system" "$etc/systemd/system.conf.d" "$etc/systemd/journald.conf.d"
	printf '[Manager]\nShowStatus=no\n' >"$etc/systemd/system.conf.d/test.conf"
	printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\nReadKMsg=no\nAudit=no\n' \
		>"$etc/systemd/journald.conf.d/test.conf"
	printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' >"$etc/systemd/system/test.target"
	for unit in systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-clean.timer \
		systemd-tmpfiles-setup-dev-early.service systemd-remount-fs.service systemd-sysctl.service \
		systemd-modules-load.service systemd-random-seed.service systemd-networkd.service systemd-networkd.socket \
		systemd-resolved.service systemd-timesyncd.service systemd-udevd.service systemd-udevd-kernel.socket \
		systemd-udevd-control.socket systemd-udev-trigger.service systemd-hwdb-update.service \
		systemd-firstboot.service systemd-sysusers.service systemd-update-utmp.service \
		systemd-machine-id-commit.service systemd-journal-flush.service systemd-pstore.service \
		systemd-binfmt.service ldconfig.service proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount \
		dev-hugepages.mount dev-mqueue.mount tmp.mount sys-fs-fuse-connections.mount sys-kernel-config.mount \
		sys-kernel-debug.mount sys-kernel-tracing.mount getty.target kmod-static-nodes.service; do
		ln -s /dev/null "$etc/systemd/system/$unit"
	done
	: >"$etc/fstab"
	rm -f "$etc/machine-id"
	tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
}

case ${1-} in
	in-the-old-root) in_the_old_root ;;
	in-the-new-root) in_the_new_root ;;
	*) main "$@" ;;
esac
