#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/hugepages_gib.bats - pages of 1 GiB: from boot, made at run time, not to be had
#
# lab: pages=1G

load ../guest/lib

readonly rules=/etc/apparmor.d/abstractions/libvirt-qemu.d

# libvirt looks for mounts once
setup_file() {
	mkdir -p /run/huge1g
	mount -t hugetlbfs -o pagesize=1G none /run/huge1g
	systemctl restart libvirtd
	wait_for 60 virsh list
}

teardown_file() {
	umount /run/huge1g
	rmdir /run/huge1g
	systemctl restart libvirtd
	wait_for 60 virsh list
}

setup() {
	oom_before=$(oom_kills)
}

teardown() {
	common_teardown
	rm -f $rules/lab
	assert_equal "$(oom_kills)" "$oom_before"
}

# gib NODE [free|surplus]
gib() {
	cat "/sys/devices/system/node/node$1/hugepages/hugepages-1048576kB/${2:-nr}_hugepages"
}

gib_is() {
	[[ "$(gib 1) $(gib 1 free) $(gib 1 surplus)" == "$1" ]]
}

@test "a page reserved at boot serves a guest and is the admin's again, also after kill -9" {
	grep -qw pdpe1gb /proc/cpuinfo
	assert_equal "$(gib 0), $(gib 1) $(gib 1 free)" "0, 1 1"
	host_before
	guest_define large memory=1024 pages=1048576 nodes=1
	policy large
	guest_start large
	assert_equal "$(gib 1) $(gib 1 free) $(gib 1 surplus)" "1 0 0"
	guest_destroy large
	wait_for 10 gib_is "1 1 0"
	guest_start large
	kill -9 "$(guest_pid large)"
	wait_for 30 guest_off large
	wait_for 10 gib_is "1 1 0"
	host_unchanged
}

@test "a node without a GiB in one piece refuses the guest with what a boot must say" {
	host_before
	guest_define large memory=1024 pages=1048576 nodes=0
	policy large
	run virsh start large
	((status != 0)) || fail "it was started"
	assert_contains "$output" "cannot get 1 huge pages of 1 GiB on node 0: 1 are missing beside 0 free ones"
	assert_contains "$output" "): boot with "
	assert_contains "$output" "hugepagesz=1048576K hugepages=0:1,1:1 (a running host has pages of that size by luck only), or take smaller ones"
	if grep -q CmaTotal /proc/meminfo; then
		assert_contains "$output" "boot with hugetlb_cma=0:1024M,1:1024M or "
	else
		[[ $output != *hugetlb_cma* ]] || fail "$output"
	fi
	host_unchanged
}

@test "where there is a GiB in one piece a page is made, and the kernel frees it with QEMU" {
	echo 0 >/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages
	host_before
	guest_define large memory=1024 pages=1048576 nodes=1
	policy large
	guest_start large
	assert_equal "$(gib 1) $(gib 1 free) $(gib 1 surplus)" "1 0 1"
	kill -9 "$(guest_pid large)"
	wait_for 30 guest_off large
	wait_for 10 gib_is "0 0 0"
	guest_start large
	guest_destroy large
	wait_for 10 gib_is "0 0 0"
	host_unchanged
}

# What a start that was struck has left is given back by recover. One that goes on all the same is ended
struck_is_back() {
	virsh destroy large >/dev/null 2>&1 || true
	usher recover >/dev/null 2>&1 || true
	guest_off large && [[ ! -e /run/usher/host/hugepages.ini ]] && gib_is "0 0 0"
}

# What its start was told, and what is left
scene_of() {
	cat "$BATS_TEST_TMPDIR/$1" "$BATS_TEST_TMPDIR/hits"
	cat /run/usher/host/hugepages.ini 2>/dev/null || true
	usher log large || true
}

# strike_start WHO - its start, in which who it is dies as soon as a page is being made
strike_start() {
	local striker
	"$here/strike" "$1" "$BATS_TEST_TMPDIR/hits" 3>&- &
	striker=$!
	virsh start large >"$BATS_TEST_TMPDIR/$1" 2>&1 3>&- || true
	kill "$striker" 2>/dev/null || true
	wait "$striker" || true
}

@test "whoever is killed while a page is made, the pool is what it was at the next recover and the next start" {
	local who
	echo 0 >/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages
	host_before
	guest_define large memory=1024 pages=1048576 nodes=1
	policy large
	: >"$BATS_TEST_TMPDIR/hits"
	for who in child all; do
		strike_start "$who"
		wait_for 60 struck_is_back || fail "$who: $(scene_of "$who")"
		host_unchanged || fail "$who"
	done
	for who in helper both; do
		strike_start "$who"
		virsh destroy large >/dev/null 2>&1 || true
		guest_start large || fail "$who: $(scene_of "$who")"
		assert_equal "$who: $(gib 1) $(gib 1 free) $(gib 1 surplus)" "$who: 1 0 1"
		guest_destroy large
		wait_for 10 gib_is "0 0 0" || fail "$who: $(scene_of "$who")"
		host_unchanged || fail "$who"
	done
	echo "# killed: $(sort "$BATS_TEST_TMPDIR/hits" | uniq -c | xargs)" >&3
	# A sample that hits nobody shows nothing
	[[ -s $BATS_TEST_TMPDIR/hits ]] || fail "every page was made before anybody could be killed"
}

@test "a memfd of such a page is refused by AppArmor, and works where that lets QEMU" {
	host_before
	guest_define large memory=1024 pages=1048576 source=memfd nodes=1
	policy large
	run virsh start large
	((status != 0)) || fail "AppArmor has learnt it: tell so in helpers/hugepages/mount.c"
	assert_contains "$output" "failed to resize memfd"
	wait_for 10 gib_is "0 0 0"
	# That is the name such a memfd has to it
	mkdir -p $rules
	echo '/ rw,' >$rules/lab
	guest_start large
	assert_equal "$(gib 1) $(gib 1 free) $(gib 1 surplus)" "1 0 1"
	kill -9 "$(guest_pid large)"
	wait_for 30 guest_off large
	wait_for 10 gib_is "0 0 0"
	rm $rules/lab
	host_unchanged
}
