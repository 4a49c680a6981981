#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/cpuset.bats - a guest's CPUs are free of everybody else, interrupts too, and all comes back

load ../guest/lib
load ../guest/cpuset

isolated() {
	cat "$cgroups/cpuset.cpus.isolated"
}

# win11 has all that it was given: CPUs 2 and 3 for its two vCPUs, and no interrupts there
assert_as_given() {
	assert_alone 2-3
	assert_equal "$(vcpu_cpus win11 0) $(vcpu_cpus win11 1)" "2 3"
	assert_equal "$(irqs_on 23)" ""
}

setup() {
	cpuset_setup
}

teardown() {
	echo 1 >/sys/devices/system/cpu/cpu3/online
	systemctl stop box 2>/dev/null || true
	cpuset_teardown
}

@test "interrupts leave a guest's CPUs while it runs, and come back when it is destroyed" {
	[[ -n $(irqs_on 23) ]] || fail "no interrupt is on CPU 2 or 3: this would show nothing"
	pinned win11 "2 3"
	guest_start win11
	assert_alone 2-3
	assert_equal "$(irqs_on 23)" ""
	assert_equal "$(default_irq)" 3
	guest_destroy win11
	host_unchanged
}

@test "they come back when QEMU is killed" {
	pinned win11 "${everything[@]}" "2 3"
	guest_start win11
	assert_equal "$(irqs_on 23)" ""
	kill -9 "$(guest_pid win11)"
	wait_for 60 guest_off win11
	host_unchanged
}

# Once is enough, but where usher-recover.service is at it or the time for one undo was too short
recovered() {
	usher recover
	[[ $(default_irq) == f ]]
}

@test "they come back when libvirt is not there to tell" {
	local pid
	pinned win11 "2 3"
	guest_start win11
	pid=$(guest_pid win11)
	systemctl kill -s KILL libvirtd
	kill -9 "$pid"
	wait_for 30 not kill -0 "$pid"
	wait_for 60 recovered
	systemctl restart libvirtd
	wait_for 60 guest_off win11
	host_unchanged
}

@test "CPUs that vCPUs share are free of everybody else, unbound work too" {
	guest_define win11 vcpus=2 pins="2-3 2-3"
	policy win11
	guest_start win11
	assert_equal "$(slices_cpus | xargs)" "0 1"
	assert_equal "$(cat /sys/devices/virtual/workqueue/cpumask)" 3
	assert_equal "$(cat /proc/sys/kernel/watchdog_cpumask)" 0-1
	assert_equal "$(irqs_on 23)" ""
	guest_destroy win11
	host_unchanged
}

# Of the kernel's RCU thread
rcu_cpus() {
	local pid
	pid=$(pgrep -x 'rcu_(preempt|sched)' | head -n 1)
	awk '/^Cpus_allowed_list:/ { print $2 }' "/proc/$pid/status"
}

@test "all comes back after slices and plain, and kept to those meanwhile" {
	local method
	for method in slices plain; do
		pinned win11 '[cpuset]' "method = $method" "2 3"
		guest_start win11
		# plain leaves the slices alone
		[[ $method == plain ]] ||
			assert_equal "$(cat "$cgroups/system.slice/cpuset.cpus.effective")" 0-1
		assert_equal "$(cat /sys/devices/virtual/workqueue/cpumask)" 3
		assert_equal "$(rcu_cpus)" 0-1
		assert_equal "$(irqs_on 23)" ""
		guest_destroy win11
		host_unchanged
		virsh undefine --domain win11
	done
}

@test "irqbalance is told which CPUs to leave alone, and what it left alone before" {
	systemctl start irqbalance
	wait_for 30 banned_are 0
	pinned win11 "2 3"
	guest_start win11
	wait_for 60 banned_are c
	assert_equal "$(irqs_on 23)" ""
	guest_destroy win11
	wait_for 60 banned_are 0
	assert_equal "$(default_irq)" f
	[[ ! -e /run/usher/host/irq.ini ]]
}

@test "a CPU that goes offline and comes back is isolated again by usher recover" {
	local group
	pinned win11 "2 3"
	guest_start win11
	echo 0 >/sys/devices/system/cpu/cpu3/online
	assert_alone 2
	echo 1 >/sys/devices/system/cpu/cpu3/online
	# What the kernel and libvirt have made of it: nobody has told usher
	group=$(find "$cgroups/machine.slice" -name vcpu1)
	echo "# after offline and online: isolated '$(isolated)'," \
		"vcpu1 '$(cat "$group/cpuset.cpus")' '$(cat "$group/cpuset.cpus.partition")'" >&3
	usher recover
	assert_alone 2-3
	assert_equal "$(irqs_on 23)" ""
	guest_destroy win11
	host_unchanged
}

@test "a CPU that was away is isolated again by libvirt's next start" {
	pinned win11 "2 3"
	guest_start win11
	echo 0 >/sys/devices/system/cpu/cpu3/online
	echo 1 >/sys/devices/system/cpu/cpu3/online
	systemctl restart libvirtd
	wait_for 30 alone_are 2-3
	assert_as_given
	guest_destroy win11
	host_unchanged
}

@test "an interrupt that comes while a guest runs keeps off its CPUs, and is the host's afterwards" {
	pinned win11 "2 3"
	guest_start win11
	echo "$USB" >/sys/bus/pci/drivers/xhci_hcd/unbind
	echo "$USB" >/sys/bus/pci/drivers/xhci_hcd/bind
	grep -q xhci_hcd /proc/interrupts
	assert_as_given
	guest_destroy win11
	host_unchanged
}

@test "a guest in a partition of its own has its CPUs there, until its QEMU is killed" {
	guest_define win11 vcpus=2 pins="2 3" emulator=0-1 \
		more='<resource><partition>/machine/gpu</partition></resource>'
	policy win11
	guest_start win11
	[[ -n $(find "$cgroups/machine.slice/machine-gpu.slice" -name vcpu0) ]] ||
		fail "it is not in /machine/gpu: $(cat "/proc/$(guest_pid win11)/cgroup")"
	assert_as_given
	kill -9 "$(guest_pid win11)"
	wait_for 60 guest_off win11
	systemctl stop machine-gpu.slice
	host_unchanged
}

# sched_of GROUP - the scheduling classes of its threads, "SCHED_OTHER 0"
sched_of() {
	local tid
	while read -r tid; do
		chrt -p "$tid"
	done <"$(find "$cgroups/machine.slice" -name "$1")/cgroup.threads" |
		awk '/policy/ { p = $NF } /priority/ { print p, $NF }' | sort -u
}

@test "QEMU's own threads have the scheduling class that the policy says, and lose it with an undo" {
	local claim
	pinned win11 '[cpuset]' 'emulator_sched = fifo:1' "2 3"
	guest_start win11
	claim=/run/usher/$(guest_uuid win11)/claim.ini
	assert_equal "$(sched_of emulator)" "SCHED_FIFO 1"
	assert_equal "$(sched_of vcpu0)" "SCHED_OTHER 0"
	usher-cpuset undo "$claim"
	assert_equal "$(sched_of emulator)" "SCHED_OTHER 0"
	usher-cpuset apply "$claim"
	assert_equal "$(sched_of emulator)" "SCHED_FIFO 1"
	guest_destroy win11
	host_unchanged
}

@test "guests that share a CPU by intention run side by side" {
	pinned one '[cpuset]' 'isolate = no' "3"
	pinned two '[cpuset]' 'isolate = no' "3"
	guest_start one
	guest_start two
	guest_running one
	guest_running two
	assert_equal "$(vcpu_cpus one 0) $(vcpu_cpus two 0)" "3 3"
	guest_destroy one
	guest_destroy two
	host_unchanged
}

# What a sleep does to processes and CPUs: all but the first go offline, and come back
host_sleeps() {
	insmod /lab/build/modules/sleep/lab_sleep.ko
	echo 500 >/sys/module/lab_sleep/parameters/sleep_ms
	rmmod lab_sleep
}

@test "a sleep of the host leaves a guest's CPUs isolated, by themselves where partitions do it" {
	pinned win11 "2 3"
	guest_start win11
	assert_as_given
	host_sleeps
	guest_running win11
	! has_partitions || assert_as_given
	usher recover
	assert_as_given
	guest_destroy win11
	host_unchanged
}

@test "a vCPU that is plugged in while the guest runs is isolated by usher recover" {
	guest_define win11 vcpus=2 current=1 pins="2 3" emulator=0-1
	policy win11
	guest_start win11
	virsh setvcpus win11 2 --live
	! has_partitions || run -1 usher-cpuset check "/run/usher/$(guest_uuid win11)/claim.ini"
	usher recover
	assert_alone 2-3
	assert_equal "$(vcpu_cpus win11 0) $(vcpu_cpus win11 1)" "2 3"
	guest_destroy win11
	host_unchanged
}

@test "a vCPU without a pin beside pinned ones is not shut in with them" {
	guest_define win11 vcpus=3 pins="2 3" emulator=0-1
	policy win11
	guest_start win11
	assert_alone 2-3
	! has_partitions || assert_equal "$(vcpu_cpus win11 2)" 0-1
	guest_destroy win11
	virsh undefine win11
	# Where the pinned ones share their CPUs, there is no partition that would suit
	guest_define win11 vcpus=3 pins="2-3 2-3"
	guest_start win11
	assert_equal "$(slices_cpus | xargs)" "0 1"
	assert_equal "$(vcpu_cpus win11 2)" 0-3
	guest_destroy win11
	host_unchanged
}

# steps - what usher check says of win11's steps, without its notes
steps() {
	usher check win11 | grep -E '^[a-z]+ +steps: ' | grep -v '^note'
}

well="ok       steps: what the running guest was given is as it was given"

is_well() {
	[[ $(steps) == "$well" ]]
}

@test "a vCPU pinned elsewhere while it runs is noticed" {
	pinned win11 '[cpuset]' 'method = slices' "2 3"
	guest_start win11
	wait_for 10 is_well
	virsh vcpupin win11 0 1 --live
	assert_equal "$(steps)" \
		"warning  steps: vCPU 0 is pinned to 1 by now, and CPU 2 is kept free for it: virsh vcpupin win11 0 2 --live"
	virsh vcpupin win11 0 2 --live
	assert_equal "$(steps)" "$well"
	guest_destroy win11
	host_unchanged
}

# A partition's threads go nowhere else, says the kernel; by then libvirt may have written the group's
# CPUs
@test "of a vCPU that cannot be pinned elsewhere, being alone in its partition, nothing is lost unnoticed" {
	local group
	pinned win11 "2 3"
	guest_start win11
	wait_for 10 is_well
	run virsh vcpupin win11 0 1 --live
	group=$(find "$cgroups/machine.slice" -name vcpu0)
	echo "# vcpupin: $status '${output//$'\n'/ }', isolated '$(isolated)'," \
		"vcpu0 '$(cat "$group/cpuset.cpus")' '$(cat "$group/cpuset.cpus.partition")'" >&3
	[[ $(cat "$group/cpuset.cpus") == 2 ]] || assert_contains "$(steps)" "vCPU 0 is pinned to 1 by now"
	[[ $(isolated) == 2-3 || ! -e $cgroups/cpuset.cpus.isolated ]] ||
		assert_contains "$(steps)" "its CPUs are not isolated any more"
	virsh vcpupin win11 0 2 --live
	usher recover
	assert_equal "$(steps)" "$well"
	assert_alone 2-3
	guest_destroy win11
	host_unchanged
}

@test "CPUs that would leave the host none are refused, and what is free is said" {
	guest_define win11 vcpus=4 pins="0 1 2 3"
	policy win11 '[guest]' 'required = cpuset'
	start_refused_like win11 "usher: win11: CPUs 0-3 cannot be kept for it alone: .* of 0-3 at least one core must stay free: pin fewer, .*"
	host_unchanged
}

# The slices' way has no quarrel with the guest's own threads
@test "an emulator on a vCPU's CPU is refused where cpuset is required, if each is to be a partition" {
	guest_define win11 vcpus=2 pins="2 3" emulator=1-2
	policy win11 '[guest]' 'required = cpuset'
	if has_partitions; then
		start_refused_like win11 "usher: win11: CPUs 2-3 cannot be kept for it alone: emulator is pinned to 1-2, where a vCPU is.*"
	else
		guest_start win11
		assert_alone 2-3
		guest_destroy win11
	fi
	host_unchanged
}

@test "a container's CPUs are not taken from it" {
	systemd-run --quiet --unit=box --slice=box.slice -p AllowedCPUs=3 sleep 300
	wait_for 10 grep -qx 3 "$cgroups/box.slice/box.service/cpuset.cpus"
	guest_define win11 vcpus=2 pins="2 3"
	policy win11 '[guest]' 'required = cpuset'
	start_refused_like win11 "usher: win11: CPUs 2-3 cannot be kept for it alone: (this kernel has no [^;]*; )?box.slice/box.service is pinned to 3: pin one of the two to other CPUs"
	systemctl stop box
	host_unchanged
}

@test "a guest whose policy isolates nothing keeps its CPU from one that wants it alone" {
	pinned shared '[cpuset]' 'isolate = no' "3"
	guest_define win11 vcpus=2 pins="2 3"
	policy win11 '[guest]' 'required = cpuset'
	guest_start shared
	start_refused_like win11 "usher: win11: CPUs 2-3 cannot be kept for it alone: .*shared.* is pinned to 3: .*"
	guest_destroy shared
	guest_start win11
	guest_destroy win11
	host_unchanged
}

@test "a guest without a policy is refused the CPU that another has for itself alone" {
	pinned win11 "2 3"
	guest_define plain vcpus=1 pins="3"
	guest_start win11
	start_refused plain "usher: plain: CPU 3 belongs to guest win11 alone while it runs: shut that guest down first, pin this one to other CPUs, or have them share with isolate = no in [cpuset] of that one's policy"
	guest_destroy win11
	host_unchanged
}
