#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/hugepages_nodes.bats - bound guests beside others, memory modes and devices, a short host

load ../guest/lib

setup() {
	oom_before=$(oom_kills)
}

teardown() {
	local node
	[[ -z ${eater-} ]] || kill "$eater" 2>/dev/null || true
	common_teardown
	for node in 0 1; do
		echo 0 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
	done
	assert_equal "$(oom_kills)" "$oom_before"
}

meminfo_of() {
	awk -v name="$2:" '$3 == name { print $4 }' "/sys/devices/system/node/node$1/meminfo"
}

guests_running() {
	virsh list --name | awk 'NF { n++ } END { print n + 0 }'
}

# start_both NAME NAME - at the same moment. Return: how many were refused
start_both() {
	local refused=0 first
	timeout 240 virsh start "$1" >"$BATS_TEST_TMPDIR/$1" 2>&1 3>&- &
	first=$!
	timeout 240 virsh start "$2" >"$BATS_TEST_TMPDIR/$2" 2>&1 3>&- || refused=$((refused + 1))
	wait "$first" || refused=$((refused + 1))
	return "$refused"
}

# What both were told, and who is still at it
scene_of_both() {
	cat "$BATS_TEST_TMPDIR"/{bound,free}
	ps -eo pid,etimes,stat,wchan:24,args | awk '/usher|qemu-system|[v]irsh/ { print substr($0, 1, 200) }'
	cat /run/usher/host/hugepages.ini 2>/dev/null || true
}

# Guests bound and free: all pages are where they must be
both_right() {
	assert_equal "$(pages_of bound 0) $(pages_of bound 1)" "0 32" || return
	assert_equal "$(($(pages_of free 0) + $(pages_of free 1)))" 48
}

# bound_and_free FIRST SECOND
bound_and_free() {
	local first=$1 second=$2
	echo 5 >/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages
	echo 3 >/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
	host_before
	guest_define bound memory=64 pages=2048 nodes=1
	guest_define free memory=96 pages=2048
	policy bound
	policy free
	start_both "$first" "$second" || fail "$(scene_of_both)"
	both_right
	wait_for 10 persistent_are 5 3
	guest_destroy "$first"
	wait_for 10 persistent_are 5 3
	guest_start "$first"
	both_right
	virsh save "$second" "$BATS_TEST_TMPDIR/$second.image" >/dev/null
	wait_for 10 persistent_are 5 3
	virsh save "$first" "$BATS_TEST_TMPDIR/$first.image" >/dev/null
	wait_for 10 pools_are 5 3
	virsh restore "$BATS_TEST_TMPDIR/$second.image" >/dev/null 3>&- &
	virsh restore "$BATS_TEST_TMPDIR/$first.image" >/dev/null
	wait $!
	both_right
	kill -9 "$(guest_pid "$first")"
	wait_for 30 guest_off "$first"
	guest_destroy "$second"
	wait_for 10 pools_are 5 3
	host_unchanged
}

@test "a bound guest and one that takes any node start and are restored together, the bound one ends first" {
	bound_and_free bound free
}

@test "a bound guest and one that takes any node start and are restored together, the bound one ends last" {
	bound_and_free free bound
}

@test "of a bound guest and one that takes any node that do not fit together one is refused, never both" {
	local order refused mib=() node
	host_before
	for node in 0 1; do
		mib+=($(($(meminfo_of $node MemFree) / 1024)))
	done
	guest_define bound memory="$((mib[1] * 6 / 10 / 2 * 2))" pages=2048 nodes=1
	guest_define free memory="$(((mib[0] + mib[1]) * 7 / 10 / 2 * 2))" pages=2048
	policy bound
	policy free
	for order in "bound free" "free bound"; do
		refused=0
		start_both "${order% *}" "${order#* }" || refused=$?
		echo "# $order: $(virsh list --name | paste -s -d ' ')" >&3
		assert_equal "$(guests_running) running, $refused refused" "1 running, 1 refused" ||
			fail "$(scene_of_both)"
		assert_contains "$(cat "$BATS_TEST_TMPDIR"/{bound,free})" "huge pages of 2 MiB on "
		guest_destroy bound
		guest_destroy free
		wait_for 10 pools_are 0 0
	done
	host_unchanged
}

# placed NR0 NR1 [key=value...] - such a guest has so many pages on the nodes, and nothing is left of them
placed() {
	local nr0=$1 nr1=$2
	shift 2
	guest_define placed memory=32 pages=2048 "$@"
	policy placed
	guest_start placed
	assert_equal "$(pages_of placed 0) $(pages_of placed 1)" "$nr0 $nr1"
	persistent_are 0 0 || fail "$*: pools $(pool 0) $(pool 1)"
	guest_destroy placed
	wait_for 10 pools_are 0 0
	virsh undefine placed
}

@test "pages are there where other memory modes and memory devices take them" {
	local memory="<numatune><memory mode"
	host_before
	placed 0 16 more="$memory='preferred' nodeset='1'/></numatune>"
	placed 8 8 more="$memory='interleave' nodeset='0-1'/></numatune>"
	placed 0 16 more="$memory='restrictive' nodeset='1'/></numatune>"
	# 32 MiB of its own on node 0, a module of 64 MiB on node 1
	placed 16 32 memory=96 \
		more="$memory='strict' nodeset='0-1'/><memnode cellid='0' mode='strict' nodeset='0'/></numatune>$(cell_xml)" \
		extra="$(module_xml dimm 64 \
			"<source><pagesize unit='KiB'>2048</pagesize><nodemask>1</nodemask></source>")"
	host_unchanged
}

cell_xml() {
	echo "<maxMemory slots='2' unit='MiB'>512</maxMemory><cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>"
}

# module_xml MODEL MIB [SOURCE] [TARGET] - a memory device
module_xml() {
	echo "<memory model='$1'>${3-}<target><size unit='MiB'>$2</size><node>0</node>${4-}</target></memory>"
}

@test "what a virtio-mem device may take stays in the pool, for that guest alone" {
	host_before
	guest_define grows memory=160 pages=2048 more="$(cell_xml)" \
		extra="$(module_xml virtio-mem 128 '' \
			"<block unit='MiB'>2</block><requested unit='MiB'>32</requested>")"
	policy grows
	guest_start grows
	assert_equal "$(($(pool 0) + $(pool 1))) $(pool 0 surplus) $(pool 1 surplus)" "32 0 0"
	guest_define other memory=32 pages=2048
	policy other
	guest_start other
	assert_equal "$(($(pool 0) + $(pool 1) - $(pages_of grows 0) - $(pages_of grows 1)))" 32
	guest_destroy other
	kill -9 "$(guest_pid grows)"
	wait_for 30 guest_off grows
	wait_for 10 pools_are 0 0
	host_unchanged
}

@test "a node that numad has yet to choose is refused unless each has enough" {
	local node
	guest_define auto memory=64 pages=2048 \
		more="<numatune><memory mode='strict' placement='auto'/></numatune>"
	policy auto
	host_before
	assert_contains "$(start_fails auto)" "cannot tell on which node the guest's 32 huge pages of 2 MiB must be: numad chooses it when they are there, and node 0 has too few"
	host_unchanged
	for node in 0 1; do
		echo 32 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
	done
	# numad itself is not installed: that is libvirt's to say
	run virsh start auto
	[[ $output != *usher:* ]] || fail "$output"
	guest_destroy auto
	wait_for 10 pools_are 32 32
}

available_mib() {
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

@test "a host that is short refuses the guest or gives all but its reserve, and nobody is killed for it" {
	local mib pipe room=$BATS_TEST_TMPDIR/room
	mib=$((($(meminfo_of 0 MemFree) + $(meminfo_of 1 MemFree)) / 2048))
	host_before
	mkfifo "$room"
	exec {pipe}<>"$room"
	# It has read all of it, and nobody takes it off its hands
	dd if=/dev/zero of="$room" bs="${mib}M" count=1 2>/dev/null 3>&- &
	eater=$!
	wait_for 120 eater_is_full "$eater" "$mib"
	guest_define big memory="$((mib * 4 / 3 / 2 * 2))" pages=2048
	policy big '[hugepages]' 'reclaim = caches' 'move = yes'
	run virsh start big
	((status != 0)) || fail "it was started"
	assert_contains "$output" "huge pages of 2 MiB on this host: "
	assert_contains "$output" "dd (pid $eater)"
	# The 128 MiB of the reserve, and what QEMU takes beside its pages
	guest_define most memory="$((($(available_mib) - 128 - 150) / 2 * 2))" pages=2048
	policy most
	guest_start most
	kill -0 "$eater"
	guest_destroy most
	wait_for 10 pools_are 0 0
	kill "$eater"
	exec {pipe}>&-
	host_unchanged
}
