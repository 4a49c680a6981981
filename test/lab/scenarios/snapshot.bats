#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/snapshot.bats - the comparison that all scenarios rest on sees every kind of state
#
# One planted difference per subtree of guest/snapshot: it must be reported under that subtree's
# name, and be gone when it is taken back. A test whose name begins with a subtree compares only that:
# the rest of the host is what all the other scenarios compare.

load ../guest/lib

# shellcheck disable=SC2034 # compared is lib.bash's
setup() {
	case $BATS_TEST_DESCRIPTION in
	units:*) compared=(units cgroup) ;;
	*:*) compared=("${BATS_TEST_DESCRIPTION%%:*}") ;;
	esac
	host_before
}

teardown() {
	common_teardown
	[[ -z ${holder-} ]] || kill "$holder" 2>/dev/null || true
}

# reported SUBTREE TEXT - the comparison shows it there
reported() {
	local differences
	! differences=$(same_as_before) || fail "the snapshot sees no difference" || return
	assert_contains "$(awk -v want="$1:" '/^[a-z]+:$/ { on = $0 == want } on' <<<"$differences")" "$2" ||
		fail "all it says:" "$differences"
}

@test "an unchanged host compares equal" {
	same_as_before
}

@test "pci: a driver override that was left behind is found" {
	echo vfio-pci >"/sys/bus/pci/devices/$NIC/driver_override"
	reported pci "$NIC/driver_override = vfio-pci"
	echo >"/sys/bus/pci/devices/$NIC/driver_override"
	host_unchanged
}

@test "pci: a device without its driver is found" {
	echo "$USB" >/sys/bus/pci/drivers/xhci_hcd/unbind
	reported pci "- /sys/bus/pci/devices/$USB/driver = "
	echo "$USB" >/sys/bus/pci/drivers_probe
	host_unchanged
}

@test "pci: another power control is found" {
	echo auto >"/sys/bus/pci/devices/$NVME/power/control"
	reported pci "$NVME/power/control = auto"
	echo on >"/sys/bus/pci/devices/$NVME/power/control"
	host_unchanged
}

@test "hugepages: one page too many on one node is found" {
	local pool=/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
	echo 1 >$pool
	reported hugepages "+ $pool = 1"
	echo 0 >$pool
	host_unchanged
}

@test "hugepages: another setting of transparent pages is found" {
	local old
	old=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/mm/transparent_hugepage/defrag)
	echo never >/sys/kernel/mm/transparent_hugepage/defrag
	reported hugepages "transparent_hugepage/defrag"
	echo "$old" >/sys/kernel/mm/transparent_hugepage/defrag
	host_unchanged
}

@test "cgroup: CPUs set in any group are found" {
	echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
	mkdir /sys/fs/cgroup/planted
	echo 1 >/sys/fs/cgroup/planted/cpuset.cpus
	reported cgroup "+ /sys/fs/cgroup/planted/cpuset.cpus = 1"
	rmdir /sys/fs/cgroup/planted
	host_unchanged
}

@test "irq: an affinity that was left behind is found, and so is the default's" {
	local action irq old default
	for action in /proc/irq/*/xhci_hcd; do
		irq=${action%/*}
	done
	old=$(cat "$irq/smp_affinity_list")
	default=$(cat /proc/irq/default_smp_affinity)
	echo 0 >"$irq/smp_affinity_list"
	echo 3 >/proc/irq/default_smp_affinity
	reported irq "+ xhci_hcd = 0"
	reported irq "+ /proc/irq/default_smp_affinity = 3"
	echo "$old" >"$irq/smp_affinity_list"
	echo "$default" >/proc/irq/default_smp_affinity
	host_unchanged
}

@test "cpu: a latency limit that was left behind is found" {
	local latency=/sys/devices/system/cpu/cpu2/power/pm_qos_resume_latency_us
	echo 20 >$latency
	reported cpu "+ $latency = 20"
	echo 0 >$latency
	host_unchanged
}

@test "workqueue: CPUs taken from unbound workqueues are found" {
	local mask=/sys/devices/virtual/workqueue/cpumask old
	old=$(cat $mask)
	echo 3 >$mask
	reported workqueue "+ $mask = 3"
	echo "$old" >$mask
	host_unchanged
}

@test "rcu: CPUs taken from the kernel's thread are found" {
	local pid
	pid=$(pgrep -x 'rcu_(preempt|sched)' | head -n 1)
	taskset -p -c 0-1 "$pid" >/dev/null
	reported rcu "+ $(<"/proc/$pid/comm") = 0-1"
	taskset -p -c 0-3 "$pid" >/dev/null
	host_unchanged
}

@test "sysctl: a changed setting of the kernel is found" {
	local old
	old=$(cat /proc/sys/vm/stat_interval)
	echo 10 >/proc/sys/vm/stat_interval
	reported sysctl "+ /proc/sys/vm/stat_interval = 10"
	echo "$old" >/proc/sys/vm/stat_interval
	host_unchanged
}

@test "units: CPUs allowed to a slice, and a unit of usher, are found" {
	systemctl set-property --runtime user.slice AllowedCPUs=0-1
	reported units "user.slice AllowedCPUs = 0-1"
	reported cgroup "+ /sys/fs/cgroup/user.slice/cpuset.cpus = 0-1"
	# systemd takes the property back and leaves the group as it is
	systemctl revert user.slice
	# or without the file: where nobody else needs the controller it is switched off
	[[ ! -e /sys/fs/cgroup/user.slice/cpuset.cpus ]] || echo >/sys/fs/cgroup/user.slice/cpuset.cpus
	systemd-run --quiet --unit=usher-planted sleep 60
	reported units "+ usher-planted.service"
	systemctl stop usher-planted
	host_unchanged
}

@test "inhibitors: a lock that was left behind is found" {
	systemd-inhibit --what=sleep --who=planted --why=testing sleep 60 3>&- &
	holder=$!
	wait_for 10 reported inhibitors "testing (planted) = what=sleep mode=block"
	kill "$holder"
	wait "$holder" || true
	host_unchanged
}

@test "mounts: a mount that was left behind is found" {
	mkdir -p /run/planted
	mount -t hugetlbfs none /run/planted
	reported mounts "+ /run/planted"
	umount /run/planted
	host_unchanged
}

@test "net: a link's MTU, an address and a route that were left behind are found" {
	ip link set lo mtu 60000
	ip address add 192.0.2.1/32 dev lo
	ip route add blackhole 198.51.100.0/24
	reported net "mtu 60000"
	reported net "+ address lo = inet 192.0.2.1/32"
	reported net "+ route = blackhole 198.51.100.0/24"
	ip route del blackhole 198.51.100.0/24
	ip address del 192.0.2.1/32 dev lo
	ip link set lo mtu 65536
	host_unchanged
}

@test "modules: a module that is not there any more is found" {
	rmmod ac97_bus 2>/dev/null || modprobe -r snd_intel8x0
	reported modules "- snd_intel8x0 = loaded"
	modprobe snd_intel8x0
	udevadm settle
	host_unchanged
}

@test "nodes: a device node with another owner is found" {
	chown nobody /dev/nvme0n1
	reported nodes "+ /dev/nvme0n1 = brw-rw---- nobody disk"
	chown root /dev/nvme0n1
	host_unchanged
}

@test "console: a cursor that has stopped blinking is found" {
	local file=/sys/class/graphics/fbcon/cursor_blink
	echo 0 >$file
	reported console "+ $file = 0"
	echo 1 >$file
	host_unchanged
}

@test "console: a card without its screen is found" {
	echo "$GPU2" >/sys/bus/pci/drivers/bochs-drm/unbind
	reported console "- card2-Virtual-3 = "
	reported console "+ /proc/fb = "
	echo "$GPU2" >/sys/bus/pci/drivers_probe
	host_unchanged
}

@test "monitors: an input that was left switched is found" {
	monitor_add name=planted "cable=$HOST_GPU,0x0f"
	host_before
	echo 0x11 >/sys/kernel/debug/lab_monitor/planted/input
	reported monitors "+ /sys/kernel/debug/lab_monitor/planted/input = 17"
	echo 0x0f >/sys/kernel/debug/lab_monitor/planted/input
	host_unchanged
}

@test "usher: a claim, its content and a lock that is held are found" {
	mkdir -p /run/usher/planted
	echo old >/run/usher/planted/claim.ini
	reported usher "+ /run/usher/planted/claim.ini"
	host_before
	echo new >/run/usher/planted/claim.ini
	reported usher "+ /run/usher/planted/claim.ini content = new"
	rm -r /run/usher/planted
	host_before
	flock /run/usher/planted.lock sleep 60 3>&- &
	holder=$!
	wait_for 10 reported usher "+ lock = held"
	kill "$holder"
	wait "$holder" || true
	rm -f /run/usher/planted.lock
}

@test "processes: a helper that was left behind is found, with what it holds open" {
	local planted=$BATS_TEST_TMPDIR/usher-planted
	cp /bin/sleep "$planted"
	"$planted" 60 3>&- </dev/vcs &
	holder=$!
	wait_for 10 reported processes "+ usher-planted = $planted 60"
	reported processes "+ usher-planted fd = /dev/vcs"
	kill "$holder"
	wait "$holder" || true
	host_unchanged
}
