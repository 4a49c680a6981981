#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/cpuset.bats - a guest's CPUs are free of everybody else, interrupts too, and all comes back

load ../guest/lib
load ../guest/cpuset

isolated() {
	cat "$cgroups/cpuset.cpus.isolated"
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
	assert_equal "$(irqs_on 23)" ""
	guest_destroy win11
	host_unchanged
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

# What a sleep does to processes and CPUs: all but the first go offline, and come back
host_sleeps() {
	insmod /lab/build/modules/sleep/lab_sleep.ko
	echo 500 >/sys/module/lab_sleep/parameters/sleep_ms
	rmmod lab_sleep
}

# win11 has all that it was given: CPUs 2 and 3 for its two vCPUs, and no interrupts there
assert_as_given() {
	assert_alone 2-3
	assert_equal "$(vcpu_cpus win11 0) $(vcpu_cpus win11 1)" "2 3"
	assert_equal "$(irqs_on 23)" ""
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
