#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/noise.bats - who disturbs a guest is named, and the tracer is left as it was

load ../guest/lib

setup() {
	common_setup
	mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
}

teardown() {
	busy_end
	common_teardown
}

tracing_instances() {
	ls /sys/kernel/tracing/instances
}

# made_one BEFORE - there are others than these
made_one() {
	[[ $(tracing_instances) != "$1" ]]
}

# busy_on CPU - a task that never sleeps, in a cgroup of its own that nobody confines
busy_on() {
	bash -c 'while :; do :; done' 3>&- &
	hog=$!
	mkdir -p "$cgroups/lab.hog"
	echo "$hog" >"$cgroups/lab.hog/cgroup.procs"
	taskset -cp "$1" "$hog" >/dev/null
}

busy_end() {
	[[ -n ${hog-} ]] || return 0
	kill "$hog" 2>/dev/null || true
	wait "$hog" 2>/dev/null || true
	[[ ! -d $cgroups/lab.hog ]] || rmdir "$cgroups/lab.hog"
	hog=
}

@test "noise names a busy task on the guest's CPU, with its cure, and leaves no tracing instance" {
	local before
	before=$(tracing_instances)
	guest_define a vcpus=2 pins="2 3" emulator=0-1
	policy a '[cpuset]' 'isolate = yes' 'method = slices'
	guest_start a
	busy_on 2
	run usher noise --json a 5
	assert_equal "$status" 0
	jq -e '.command == "noise" and .cpus == "2-3" and (.sources[] | select(.kind == "task" and .name == "bash") | .count > 0 and .total_us > 100000 and (.cure | contains("[cpuset]")))' <<<"$output" ||
		fail "$output"
	echo "$output" >"$BATS_TEST_TMPDIR/noise"
	schema_fits noise "" "$BATS_TEST_TMPDIR/noise"
	assert_equal "$(tracing_instances)" "$before"
	run usher noise a 2
	assert_contains "$output" "bash"
	busy_end
	guest_destroy a
	host_unchanged
}

# spins NAME - has its vCPU anything to do: CPU time of the whole QEMU rises
spins() {
	local from to
	from=$(cut -d ' ' -f 14 "/proc/$(guest_pid "$1")/stat")
	sleep 2
	to=$(cut -d ' ' -f 14 "/proc/$(guest_pid "$1")/stat")
	((to - from > 50))
}

@test "noise tells for how long a vCPU that wants to run was kept from its CPU" {
	guest_define a vcpus=1 pins="2" emulator=0-1 boot="$(spin_image)"
	policy a '[cpuset]' 'isolate = yes' 'method = slices'
	guest_start a
	wait_for 120 spins a
	busy_on 2
	run usher noise --json a 5
	busy_end
	assert_equal "$status" 0
	jq -e '.longest_us >= ([.sources[] | select(.kind == "task" and .name == "bash") | .longest_us] | max) and .longest_us > 1000' <<<"$output" ||
		fail "$output"
	guest_destroy a
	host_unchanged
}

# ask_qemu NAME - its main thread has to answer, again and again
ask_qemu() {
	while virsh qemu-monitor-command "$1" --hmp info status; do :; done >/dev/null 2>&1 3>&- &
	hog=$!
}

@test "noise names QEMU's own thread in a guest whose vCPUs share CPUs, and what pins would change" {
	guest_define a vcpus=2 pins="2-3 2-3"
	policy a
	guest_start a
	ask_qemu a
	run usher noise --json a 5
	assert_equal "$status" 0
	if has_partitions; then
		jq -e '.isolated == false and (.sources[] | select(.kind == "qemu") | .cure | startswith("<vcpupin> of each vCPU to one CPU of its own"))' <<<"$output" ||
			fail "$output"
	else
		jq -e '.sources[] | select(.kind == "qemu") | .cure | startswith("<emulatorpin cpuset")' <<<"$output" ||
			fail "$output"
	fi
	busy_end
	guest_destroy a
	host_unchanged
}

@test "noise ends at a signal with what it has seen, and what a killed one left goes with the next or a recover" {
	local before pid sweep
	before=$(tracing_instances)
	guest_define a pins=3
	policy a
	guest_start a
	usher noise a 600 >"$BATS_TEST_TMPDIR/noise" 3>&- &
	pid=$!
	wait_for 20 made_one "$before"
	kill -TERM "$pid"
	wait "$pid" || fail "it ended with $?"
	assert_contains "$(cat "$BATS_TEST_TMPDIR/noise")" "switches to others"
	assert_equal "$(tracing_instances)" "$before"
	for sweep in "noise a 1" recover; do
		usher noise a 600 3>&- &
		pid=$!
		wait_for 20 made_one "$before"
		kill -9 "$pid"
		wait "$pid" || true
		made_one "$before"
		# shellcheck disable=SC2086 # several words
		usher $sweep
		assert_equal "$(tracing_instances)" "$before"
	done
	guest_destroy a
	host_unchanged
}
