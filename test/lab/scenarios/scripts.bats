#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/scripts.bats - an older tree's scripts when a daemon dies, or others may write them

load ../guest/lib

readonly tree=/etc/libvirt/hooks/qemu.d/walk
readonly told=/run/walk.told

setup() {
	rm -f "$told"
	common_setup
}

teardown() {
	killall -CONT libvirtd 2>/dev/null || true
	rm -rf "$tree" "$told" /run/lab-slow-script
	common_teardown
}

# tree_define [key=value...] - a guest whose scripts tell who was run with which XML; those of `prepare`
# and `stopped` last while the file is there
tree_define() {
	local operation
	for operation in prepare/begin start/begin started/begin stopped/end release/end; do
		mkdir -p "$tree/$operation"
		# shellcheck disable=SC2016 # for the script itself
		printf '#!/bin/sh\necho "$2 $4 $(grep -c "<name>$1</name>")" >>%s\n' "$told" \
			>"$tree/$operation/10-tell"
		chmod 755 "$tree/$operation/10-tell"
	done
	for operation in prepare/begin stopped/end; do
		printf '#!/bin/sh\nwhile [ -e /run/lab-slow-script ]; do sleep 0.2; done\n' \
			>"$tree/$operation/20-wait"
		chmod 755 "$tree/$operation/20-wait"
	done
	guest_define walk memory=32 pages=2048 "$@"
	policy walk '[scripts]' 'run = yes' 'timeout = 300'
}

claim_is_gone() {
	[[ ! -e /run/usher/$uuid/claim.ini ]]
}

# The hook and its script are orphans then, and still at work: what they hold is theirs until they
# have ended, and libvirt sends nothing more.
@test "a daemon that dies while a script prepares: the scripts that undo it are run, once, by whoever recovers" {
	local starting uuid
	tree_define
	uuid=$(guest_uuid walk)
	: >/run/lab-slow-script
	virsh start walk >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	starting=$!
	wait_for 60 test -s "$told"
	killall -KILL libvirtd
	! wait "$starting" || fail "the start has succeeded without a daemon"
	wait_for 60 virsh list
	assert_equal "$(cat "$told")" "prepare - 1"
	[[ -e /run/usher/$uuid/claim.ini ]] || fail "its claim has gone while its hook is at work"
	rm /run/lab-slow-script
	wait_for 60 not pgrep -f "usher-hook walk|hooks/qemu.* walk "
	# Nobody calls usher recover: the daemon's next start does
	systemctl restart libvirtd
	wait_for 60 claim_is_gone
	usher recover
	assert_equal "$(cat "$told")" $'prepare - 1\nrelease failed 1'
	# The next start is one like any other, and so is its end
	guest_start walk
	guest_destroy walk
	wait_for 30 claim_is_gone
	assert_equal "$(tail -n +3 "$told" | cut -d ' ' -f 1 | xargs)" "prepare start started stopped release"
	rm -r "$tree" "$told"
	host_unchanged
}

@test "a daemon that dies under a running guest: its scripts are run at its end, once" {
	local uuid
	tree_define
	uuid=$(guest_uuid walk)
	guest_start walk
	killall -KILL libvirtd
	kill -KILL "$(guest_pid walk)"
	wait_for 60 virsh list
	wait_for 60 guest_off walk
	wait_for 60 usher recover walk
	wait_for 60 claim_is_gone
	usher recover
	assert_equal "$(cut -d ' ' -f 1 "$told" | sed '/reconnect/d' | xargs)" "prepare start started stopped release"
	assert_equal "$(awk '{ print $NF }' "$told" | sort -u)" 1
	rm -r "$tree" "$told"
	host_unchanged
}

# What is left to see its end is the process that keeps the host awake for it
@test "a guest that ends while no daemon runs is given back by the end of its inhibitor's holder" {
	local uuid
	tree_define
	uuid=$(guest_uuid walk)
	guest_start walk
	systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd
	kill -KILL "$(guest_pid walk)"
	wait_for 60 claim_is_gone
	assert_equal "$(tail -n 2 "$told" | cut -d ' ' -f 1 | xargs)" "stopped release"
	systemctl start libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd
	wait_for 60 guest_off walk
	assert_equal "$(grep -c release "$told")" 1
	rm -r "$tree" "$told"
	host_unchanged
}

# libvirt is told after seconds that all is well, and sends nothing more: whoever waits for the script
# has to wait for as long as that may take
@test "a script of the end that takes minutes keeps the host, and no longer than it takes" {
	local uuid
	tree_define device="$NIC"
	uuid=$(guest_uuid walk)
	guest_start walk
	: >/run/lab-slow-script
	guest_destroy walk
	sleep 140
	assert_equal "$(driver_of "$NIC")" vfio-pci
	[[ -e /run/usher/$uuid/claim.ini ]] || fail "its claim has gone while its script runs"
	# A new start would find the old claim: it waits, and is refused by name
	start_refused_like walk "usher: walk: what its last run held is still being given back.*"
	rm /run/lab-slow-script
	wait_for 30 claim_is_gone
	assert_equal "$(tail -n 2 "$told" | cut -d ' ' -f 1 | xargs)" "stopped release"
	rm -r "$tree" "$told"
	host_unchanged
}

# libvirtd remembers a device that it has had unmanaged, and leaves it on vfio-pci also at the end of
# a guest for which it manages it. Seen on: libvirt 11.3
@test "a guest without a policy gets what a dead one has left when that one's scripts have run" {
	local uuid
	systemctl restart libvirtd
	tree_define device="$NIC"
	uuid=$(guest_uuid walk)
	virsh dumpxml walk >"$BATS_TEST_TMPDIR/walk.xml"
	guest_define other managed=yes device="$NIC" memory=32
	guest_define apart memory=32
	# The daemon of this start is a shell that is gone when the hook is done
	bash -c "/usr/sbin/usher-hook walk prepare begin - <$BATS_TEST_TMPDIR/walk.xml; :"
	guest_start apart
	[[ -e /run/usher/$uuid/claim.ini ]] || fail "a guest that wants none of it has run the scripts"
	guest_start other
	claim_is_gone
	assert_equal "$(cut -d ' ' -f 1,2 "$told" | xargs)" "prepare - release failed"
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy other
	guest_destroy apart
	rm -r "$tree" "$told"
	host_unchanged 30
}

@test "a script of others, or in a folder that others may write, is not run and refuses the start" {
	tree_define
	chmod 777 "$tree/prepare/begin"
	start_refused_like walk "usher: walk: script $tree/prepare/begin/[0-9a-z-]+.*: chmod go-w $tree/prepare/begin.*"
	chmod 755 "$tree/prepare/begin"
	chown nobody "$tree/prepare/begin/10-tell"
	start_refused_like walk "usher: walk: script $tree/prepare/begin/10-tell.*: chown root $tree/prepare/begin/10-tell.*"
	run -2 usher check walk
	assert_contains "$output" "chown root $tree/prepare/begin/10-tell"
	chown root "$tree/prepare/begin/10-tell"
	not grep -q prepare "$told" || fail "$(cat "$told")"
	guest_start walk
	guest_destroy walk
	rm -r "$tree"
	rm -f "$told"
	host_unchanged
}

@test "a daemon that answers nobody: check says so in time, and asks the guest's file" {
	local begin=$SECONDS status=0
	guest_define walk memory=32
	policy walk
	killall -STOP libvirtd
	usher check walk >"$BATS_TEST_TMPDIR/said" 2>&1 || status=$?
	((SECONDS - begin < 30)) || fail "it has taken $((SECONDS - begin)) s"
	((status == 2)) || fail "status $status: $(cat "$BATS_TEST_TMPDIR/said")"
	assert_contains "$(cat "$BATS_TEST_TMPDIR/said")" \
		"walk: libvirt has not answered for 10 s, as while the guest's hook runs: try again, or ask of its XML as it is on disk: --xml /etc/libvirt/qemu/walk.xml"
	run usher check --xml /etc/libvirt/qemu/walk.xml
	((status < 2)) || fail "$output"
	assert_contains "$output" policy
	killall -CONT libvirtd
	wait_for 30 virsh list
	host_unchanged
}
