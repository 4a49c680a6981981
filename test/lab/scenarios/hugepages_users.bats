#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/hugepages_users.bats - pools that others use as well, and helpers killed in them

load ../guest/lib

readonly pools=/sys/devices/system/node
readonly overcommit=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages
readonly hand=aaaaaaaa-0000-4000-8000-00000000dead
readonly claim=/run/usher/$hand/claim.ini

setup() {
	oom_before=$(oom_kills)
}

teardown() {
	common_teardown
	rm -rf "${claim%/*}"
	rm -f /dev/hugepages/dpdk
	echo 0 >$overcommit
	admin_pool 0 0
	assert_equal "$(oom_kills)" "$oom_before"
}

# admin_pool NR0 NR1
admin_pool() {
	echo "$1" >$pools/node0/hugepages/hugepages-2048kB/nr_hugepages
	echo "$2" >$pools/node1/hugepages/hugepages-2048kB/nr_hugepages
}

db() {
	pool_user_does db "$@"
}

sum_is() {
	local sum=$(($(pool 0) + $(pool 1)))
	((sum == $1)) || fail "$sum pages instead of $1"
}

@test "a database and DPDK have all their pages while guests come, run and go" {
	admin_pool 60 20
	host_before
	pool_user dpdk CPU=2
	pool_user_does dpdk file 6 /dev/hugepages/dpdk
	pool_user_does dpdk fault 6
	pool_user db CPU=0
	db map 74
	db fault 15
	guest_define one memory=64 pages=2048 nodes=0
	guest_define two memory=32 pages=2048
	policy one
	policy two

	# Nothing of the 80 is left for it
	guest_start one
	assert_pools 92 20
	assert_equal "$(pool 0 surplus) $(pool 1 surplus)" "0 0"
	assert_equal "$(reserved)" 59
	db fault 59
	# It restarts: none of its pages has gone meanwhile
	db free
	db map 74
	db fault 20
	guest_start two
	sum_is 128
	assert_equal "$(pool 0 surplus) $(pool 1 surplus)" "0 0"
	db free
	db map 74
	guest_destroy one
	wait_for 10 sum_is 96
	assert_equal "$(pool 0 surplus) $(pool 1 surplus)" "0 0"
	db fault 74
	kill -9 "$(guest_pid two)"
	wait_for 30 guest_off two
	wait_for 10 persistent_are 60 20

	# It ends while a guest runs, and comes back when that has gone
	guest_start one
	db free
	guest_destroy one
	wait_for 10 pools_are 60 20
	db map 74
	db fault 74
	pool_user_ends db
	pool_user_ends dpdk
	rm /dev/hugepages/dpdk
	host_unchanged
}

@test "pages beyond the pool that others take go with them, in whatever order all end" {
	local order name
	admin_pool 5 3
	echo 20 >$overcommit
	host_before
	guest_define one memory=64 pages=2048 nodes=0
	guest_define two memory=32 pages=2048
	policy one
	policy two
	for order in "one db two" "db two one" "two one db"; do
		guest_start one
		pool_user db CPU=0
		db map 15
		db fault 10
		guest_start two
		db fault 5
		for name in $order; do
			if [[ $name == db ]]; then
				pool_user_ends db
			else
				guest_destroy "$name"
			fi
		done
		wait_for 10 pools_are 5 3
		assert_equal "$(pool 0 surplus) $(pool 1 surplus) $(reserved)" "0 0 0"
	done
	host_unchanged
}

# --- kill -9 between any two writes --------------------------------------------------------------

claim_by_hand() {
	mkdir -p "${claim%/*}"
	chmod 0700 /run/usher "${claim%/*}"
	cat >"$claim" <<-EOT
		[claim]
		format = 1
		guest = hand
		uuid = $hand
		state = preparing
		owner = $$ $(awk '{ print $22 }' /proc/$$/stat)
		required = hugepages

		[hugepages]
		timeout_ms = 20000
		compact = yes
		reclaim = none
		give_back = started
		need = 2048 0 40
		need = 2048 any 60
	EOT
}

# In the number that strace counts to: before the write itself, before the rename that makes a new
# state the valid one, before one is removed
readonly moments=(write renameat unlinkat)

# killed_at_each_write VERB BEFORE AFTER LEAST - run it until it survives, killed one write later each
# time, at least that often
killed_at_each_write() {
	local verb=$1 call n status kills=0
	for call in "${moments[@]}"; do
		for ((n = 1, status = 137; status == 137; n++)); do
			"$2"
			status=0
			strace -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$n" \
				usher-hugepages "$verb" "$claim" 3>&- || status=$?
			"$3" || fail "killed before $call $n" || return
		done
		assert_equal "$status" 0 || return
		echo "# $verb: killed before each of $((n - 2)) $call" >&3
		kills=$((kills + n - 2))
	done
	((kills >= $4)) || fail "it was killed $kills times only"
}

nothing_left() {
	assert_pools 5 3 || return
	assert_equal "$(pool 0 surplus) $(pool 1 surplus)" "0 0" || return
	[[ ! -e /run/usher/host/hugepages.ini ]] || fail "$(cat /run/usher/host/hugepages.ini)"
}

given_back() {
	usher-hugepages undo "$claim" || return
	nothing_left || return
	assert_equal "$(reserved)" "${1:-4}"
}

applied() {
	usher-hugepages apply "$claim"
}

@test "apply killed between any two writes: the next one brings the pool back, a database keeps its part" {
	admin_pool 5 3
	host_before
	pool_user db CPU=0
	db map 6
	db fault 2
	claim_by_hand
	killed_at_each_write apply true given_back 10
	db fault 4
	pool_user_ends db
	rm -rf "${claim%/*}"
	host_unchanged
}

@test "undo killed between any two writes: the next one brings the pool back, a database keeps its part" {
	admin_pool 5 3
	host_before
	pool_user db CPU=0
	db map 6
	db fault 2
	claim_by_hand
	killed_at_each_write undo applied given_back 6
	db fault 4
	pool_user_ends db
	rm -rf "${claim%/*}"
	host_unchanged
}

# A QEMU with all its pages
taken() {
	applied
	pool_user_does qemu map 100
	pool_user_does qemu fault 100
}

dead() {
	pool_user_does qemu free || return
	given_back 0
}

@test "settle killed between any two writes: the pool comes back when QEMU has died" {
	admin_pool 5 3
	host_before
	pool_user qemu CPU=0 -uuid $hand
	claim_by_hand
	killed_at_each_write settle taken dead 6
	pool_user_ends qemu
	rm -rf "${claim%/*}"
	host_unchanged
}

@test "settle killed between any two writes beside a database: that finds its pages again" {
	admin_pool 5 3
	host_before
	pool_user qemu CPU=0 -uuid $hand
	pool_user db CPU=0
	claim_by_hand
	killed_at_each_write settle taken_beside dead_beside 2
	pool_user_ends qemu
	pool_user_ends db
	rm -rf "${claim%/*}"
	host_unchanged
}

taken_beside() {
	db map 8
	db fault 3
	taken
}

dead_beside() {
	db free || return
	db map 8 || return
	db fault 8 || return
	pool_user_does qemu free || return
	usher-hugepages undo "$claim" || return
	persistent_are 5 3 || fail "the pools are $(pool 0) $(pool 1)" || return
	db free || return
	nothing_left
}

# --- A deadline in the middle --------------------------------------------------------------------

@test "a deadline that comes at any time leaves the pool as it was" {
	local ms status=1 refused=0
	admin_pool 5 3
	host_before
	claim_by_hand
	sed -i 's/^need = 2048 any .*/need = 2048 any 900/' "$claim"
	for ms in 30 60 100 150 200 300 400 600 900 1300 2000 3000 6000 20000; do
		status=0
		run usher-hugepages --timeout $ms apply "$claim"
		((status != 0)) || break
		assert_equal "$status" 1
		nothing_left
		refused=$((refused + 1))
	done
	echo "# $refused deadlines were too short, $ms ms was not" >&3
	assert_equal "$status" 0
	((refused > 0))
	usher-hugepages undo "$claim"
	nothing_left
	rm -rf "${claim%/*}"
	host_unchanged
}
