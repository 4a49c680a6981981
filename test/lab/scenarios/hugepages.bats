#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/hugepages.bats - pages on two nodes: got, refused, shared and given back exactly

load ../guest/lib

readonly thp=/sys/kernel/mm/transparent_hugepage

# Each scenario looks at the host itself, when it has put it as it wants it
setup() {
	oom_before=$(oom_kills)
}

teardown() {
	[[ -z ${eater-} ]] || kill "$eater" 2>/dev/null || true
	[[ -z ${watch-} ]] || kill "$watch" 2>/dev/null || true
	rm -f /dev/shm/eater
	common_teardown
	admin_pool_gone
	umount /run/huge1g 2>/dev/null || true
	echo -1 >"/sys/bus/pci/devices/$NIC/numa_node"
	assert_equal "$(oom_kills)" "$oom_before"
}

# The admin's own: 5 pages on node 0, 3 on node 1
admin_pool() {
	echo 5 >/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages
	echo 3 >/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages
	host_before
}

admin_pool_gone() {
	local node
	for node in 0 1; do
		echo 0 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
	done
}

guests_running() {
	virsh list --name | awk 'NF { n++ } END { print n + 0 }'
}

said_since() {
	journalctl -t usher --since="@$1" --no-pager -o cat
}

@test "pages are on the node that the XML says, and what is elsewhere is told" {
	local from=$EPOCHSECONDS
	host_before
	guest_define near memory=32 pages=2048 nodes=1 vcpus=2 pins="0 2" emulator=0-1
	policy near
	guest_start near
	assert_pools 0 16
	assert_equal "$(pool 1 surplus)" 16
	assert_equal "$(pages_of near 1)" 16
	assert_contains "$(said_since "$from")" \
		"the guest's memory is on node 1, but not CPUs 0-1: access to memory is slower from there"
	guest_destroy near
	host_unchanged
}

@test "a guest without pages of a pool is told of CPUs and devices on another node, too" {
	local pages from said
	# As firmware with such a table would say
	echo 0 >"/sys/bus/pci/devices/$NIC/numa_node"
	host_before
	guest_define near memory=32 nodes=1 vcpus=2 pins="0 2" emulator=0-1 device="$NIC"
	for pages in none thp auto; do
		from=$EPOCHSECONDS
		sleep 1
		policy near '[hugepages]' "pages = $pages"
		guest_start near
		said=$(said_since "$((from + 1))")
		assert_contains "$said" \
			"the guest's memory is on node 1, but not device $NIC (node 0), CPUs 0-1: access to memory is slower from there"
		guest_destroy near
	done
	host_unchanged
}

@test "a node that has too little is named, with who holds memory and what would help" {
	numactl --preferred=1 head -c 400M /dev/zero >/dev/shm/eater
	host_before
	guest_define big memory=1900 pages=2048 nodes=1
	policy big
	run virsh start big
	((status != 0)) || fail "it was started"
	assert_contains "$output" "cannot get 950 huge pages of 2 MiB on node 1: "
	assert_contains "$output" "are missing beside 0 free ones and "
	assert_contains "$output" "blocks are the kernel's own and cannot be moved"
	assert_contains "$output" "tmpfs and shared memory 4"
	assert_contains "$output" "set move = yes"
	assert_contains "$output" "lower the guest's memory by "
	assert_equal "$(grep -c . <<<"$(sed -n 's/.*unexpected exit status//p' <<<"$output")")" 1
	host_unchanged
}

meminfo_of() {
	awk -v name="$2:" '$3 == name { print $4 }' "/sys/devices/system/node/node$1/meminfo"
}

@test "two guests that start together each get their own pages, and end in either order" {
	admin_pool
	guest_define one memory=32 pages=2048 nodes=0
	guest_define two memory=64 pages=2048 nodes=0
	policy one
	policy two
	/lab/src/test/lab/guest/poolwatch >"$BATS_TEST_TMPDIR/pools" 3>&- &
	watch=$!
	virsh start one >"$BATS_TEST_TMPDIR/one" 2>&1 3>&- &
	local first=$!
	virsh start two >"$BATS_TEST_TMPDIR/two" 2>&1 3>&- &
	local second=$!
	wait "$first" || fail "$(cat "$BATS_TEST_TMPDIR"/{one,pools})"
	wait "$second" || fail "$(cat "$BATS_TEST_TMPDIR"/{two,pools})"
	kill "$watch"
	# The admin's 5 serve as well, and are there again when both are gone
	wait_for 10 pools_are 48 3
	assert_equal "$(pages_of one 0) $(pages_of two 0)" "16 32"
	guest_destroy one
	wait_for 10 pools_are 32 3
	guest_start one
	kill -9 "$(guest_pid two)"
	wait_for 30 guest_off two
	wait_for 10 pools_are 16 3
	guest_destroy one
	wait_for 10 pools_are 5 3
	host_unchanged
}

@test "of two guests that do not fit together one is refused, never both" {
	local status=0 mib
	host_before
	# QEMU takes whole pages only
	mib=$(($(meminfo_of 1 MemFree) * 6 / 10 / 1024))
	mib=$((mib - mib % 2))
	guest_define one memory="$mib" pages=2048 nodes=1
	guest_define two memory="$mib" pages=2048 nodes=1
	policy one
	policy two
	virsh start one >"$BATS_TEST_TMPDIR/one" 2>&1 3>&- &
	local first=$!
	virsh start two >"$BATS_TEST_TMPDIR/two" 2>&1 3>&- &
	wait "$first" || status=$((status + 1))
	wait $! || status=$((status + 1))
	assert_equal "$(guests_running) running, $status refused" "1 running, 1 refused" ||
		fail "$(cat "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two")"
	assert_contains "$(cat "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two")" \
		"huge pages of 2 MiB on node 1: "
	guest_destroy one
	guest_destroy two
	host_unchanged
}

@test "a saved guest gives its pages back and gets new ones when it is restored" {
	host_before
	guest_define saved memory=32 pages=2048 nodes=1
	policy saved
	guest_start saved
	virsh save saved "$BATS_TEST_TMPDIR/image" >/dev/null
	wait_for 10 pools_are 0 0
	virsh restore "$BATS_TEST_TMPDIR/image" >/dev/null
	assert_pools 0 16
	assert_equal "$(pages_of saved 1)" 16
	# It might have come by postcopy: its pages are its own until its end
	assert_equal "$(pool 1 surplus)" 0
	kill -9 "$(guest_pid saved)"
	wait_for 30 guest_off saved
	wait_for 10 pools_are 0 0
	host_unchanged
}

# What usher-hugepages counts on (step.c): of the largest write by one that has a timer
@test "a write to a pool ends at a signal, with the pages it has got" {
	local pool=/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages wanted got
	host_before
	wanted=$(($(awk '$3 == "MemFree:" { print $4 }' /sys/devices/system/node/node1/meminfo) / 2048 / 2))
	perl -MTime::HiRes=setitimer,ITIMER_REAL -e '
		$SIG{ALRM} = sub {};
		open(my $pool, ">", $ARGV[0]) or die "$!";
		setitimer(ITIMER_REAL, 0.002, 0.002);
		my $written = syswrite($pool, $ARGV[1]);
		setitimer(ITIMER_REAL, 0);
		defined($written) or die "$!";' "$pool" "$wanted"
	got=$(<"$pool")
	echo "# $got pages of $wanted" >&3
	((got < wanted)) || fail "$got pages of $wanted"
	echo 0 >"$pool"
	host_unchanged
}

@test "a guest whose balloon may grow keeps its pages in the pool" {
	host_before
	guest_define balloon memory=32 pages=2048 nodes=0 balloon=virtio
	policy balloon
	guest_start balloon
	assert_pools 16 0
	assert_equal "$(pool 0 surplus)" 0
	guest_destroy balloon
	wait_for 10 pools_are 0 0
	host_unchanged
}

@test "pages whose hugetlbfs libvirt has not seen are refused with the cure" {
	host_before
	guest_define large memory=1024 pages=1048576
	policy large
	start_refused large "usher: large: QEMU could not take huge pages of 1 GiB: no hugetlbfs of that size is mounted: mount -t hugetlbfs -o pagesize=1048576K DIR and restart libvirtd (guests live on)"
	host_unchanged
	mkdir -p /run/huge1g
	mount -t hugetlbfs -o pagesize=1G none /run/huge1g
	start_refused large "usher: large: QEMU could not take huge pages of 1 GiB: libvirt has not seen /run/huge1g, which was mounted after it started: restart libvirtd (guests live on)"
	systemctl restart libvirtd
	# Now it is a matter of memory, and mostly there is no GiB in one piece
	if run virsh start large; [[ $status == 0 ]]; then
		echo "# there was a GiB in one piece" >&3
		assert_equal "$(pool_size 1048576)" 1
		guest_destroy large
	else
		echo "# $output" >&3
		assert_contains "$output" "cannot get 1 huge pages of 1 GiB on this host: "
		assert_contains "$output" "hugepagesz=1048576K hugepages=1 (a running host has pages of that size by luck only)"
	fi
	umount /run/huge1g
	rmdir /run/huge1g
	systemctl restart libvirtd
	wait_for 30 virsh list
	host_unchanged
}

thp_is() {
	[[ $(<"$thp/enabled") == *"[$1]"* && $(<"$thp/defrag") == *"[$1]"* ]]
}

@test "transparent pages are switched on while there are guests that want them, whoever ends first" {
	local before order
	before=$(sed 's/.*\[\(.*\)\].*/\1/' "$thp/enabled" "$thp/defrag" | paste -s -d ' ')
	echo never >"$thp/enabled"
	echo never >"$thp/defrag"
	host_before
	guest_define soft memory=64
	guest_define late memory=32 nodes=1
	policy soft '[hugepages]' 'pages = thp'
	policy late '[hugepages]' 'pages = thp'
	for order in "soft late" "late soft"; do
		guest_start soft
		thp_is madvise
		guest_start late
		(($(awk '/AnonHugePages/ { sum += $2 } END { print sum }' "/proc/$(guest_pid soft)/smaps") > 0)) ||
			fail "QEMU has none"
		guest_destroy "${order% *}"
		thp_is madvise
		guest_destroy "${order#* }"
		wait_for 10 thp_is never
	done
	guest_start soft
	kill -9 "$(guest_pid soft)"
	wait_for 30 guest_off soft
	wait_for 10 thp_is never
	host_unchanged
	echo "${before% *}" >"$thp/enabled"
	echo "${before#* }" >"$thp/defrag"
}
