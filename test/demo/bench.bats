#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/demo/bench.bats - a benchmark that has measured nothing does not pass

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	gcc -O1 -I. -o "$BATS_FILE_TMPDIR/race" test/bench/race.c
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	race=$BATS_FILE_TMPDIR/race
	eval "$(sed -n '/^bound()/,/^}/p' test/bench/run)"
}

@test "the race is timed when all commands succeed, and what they print is none of its rows" {
	run -0 "$race" 3 /dev/null /bin/true -- /bin/echo 1.00x
	((${#lines[@]} == 2))
	[[ ${lines[0]} == *"  1.00x "*" KiB  /bin/true" && ${lines[1]} == *" KiB  /bin/echo" ]]
}

@test "a command that fails ends the race, and is named" {
	run -1 "$race" 3 /dev/null /bin/true -- /bin/false
	[[ $output == "race: /bin/false: failed"* ]]
	# shellcheck disable=SC2016 # the inner shell's own number
	run -1 "$race" 3 /dev/null /bin/true -- /bin/sh -c 'kill -9 $$'
	[[ $output == "race: /bin/sh: failed"* ]]
	run -1 "$race" 3 /dev/null /bin/true -- /no/such/program
	[[ $output == "race: /no/such/program: "* ]]
}

@test "a figure is held to its bound, and one that is missing does not hold" {
	local -i bad=0
	bound "equal" 1.2 1.2
	bound "below" 0.3 1.2
	((bad == 0))
	local nr=0 value
	for value in 1.3 '' ' ' nan - 1.2x; do
		bound "wrong" "$value" 1.2
		nr=$((nr + 1))
		((bad == nr))
	done
}
