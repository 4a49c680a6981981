#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/demo/hook.bats - the hook and its helpers on the sample host, where something has gone wrong

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	export BUILD_DIR=${BUILD_DIR:-build}
	env -u MAKEFLAGS -u MAKELEVEL make -s -j2 O="$BUILD_DIR" all fake >&2
	export PRISTINE=$BATS_FILE_TMPDIR/host
	test/trees/unpack "$PRISTINE" test/trees/desktop.tree
	rm -rf "$PRISTINE/run/usher"
	: >"$PRISTINE/etc/usher/conf.d/win11.ini"
	: >"$PRISTINE/etc/usher/conf.d/games.ini"
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	fake=$BUILD_DIR/fake
	host=$BATS_TEST_TMPDIR/host
	uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809
	claim=$host/run/usher/$uuid
	cp -a "$PRISTINE" "$host"
	sed "s/<name>win11/<name>games/; s/$uuid/d7a5fdbd-edaf-9455-926a-d65c16db1810/" \
		test/trees/win11.xml >"$BATS_TEST_TMPDIR/games.xml"
	printf "<domain type='kvm'><name>plain</name><uuid>%s</uuid><memory>65536</memory><vcpu>1</vcpu></domain>\n" \
		e7a5fdbd-edaf-9455-926a-d65c16db1811 >"$BATS_TEST_TMPDIR/plain.xml"
	cp test/trees/win11.xml "$BATS_TEST_TMPDIR/win11.xml"
}

teardown() {
	[[ -z ${background-} ]] || kill "$background" 2>/dev/null || true
}

# hook GUEST OPERATION SUBOPERATION EXTRA - as libvirt calls it, its stderr as output
hook() {
	"$fake/usher-hook" --root "$host" --helpers "$fake" "$@" <"$BATS_TEST_TMPDIR/$1.xml" 2>&1 3>&-
}

# A hook whose libvirt died right after: nobody keeps the claim alive
hook_orphaned() {
	(hook "$@")
}

recover() {
	"$fake/usher" recover --root "$host" "$@" 2>&1
}

driver_of() {
	basename "$(readlink "$host/sys/bus/pci/devices/$1/driver")"
}

gpu_driver() {
	driver_of 0000:01:00.0
}

@test "a claim that cannot be read lets no other guest take what it may hold" {
	local fault
	hook win11 prepare begin -
	[[ $(gpu_driver) == vfio-pci ]]
	for fault in 'garbage' '[claim]' 'format = 2'; do
		cp "$claim/claim.ini" "$BATS_TEST_TMPDIR/whole"
		case $fault in
		format*) sed -i 's/^format = .*/format = 2/' "$claim/claim.ini" ;;
		*) echo "$fault" >>"$claim/claim.ini" ;;
		esac
		if cmp -s "$claim/claim.ini" "$BATS_TEST_TMPDIR/whole"; then return 1; fi
		[[ $fault == '[claim]' ]] || {
			run -1 hook games prepare begin -
			[[ $output == "usher: games: the claim /run/usher/$uuid/claim.ini cannot be read ("*"remove its directory or reboot" ]]
			[[ ! -e $host/run/usher/d7a5fdbd-edaf-9455-926a-d65c16db1810/claim.ini ]]
			# So does a plan of it, and the picture of the host
			run -1 "$fake/usher" plan --root "$host" --xml "$BATS_TEST_TMPDIR/games.xml"
			[[ $output == "usher: games: the claim /run/usher/$uuid/claim.ini cannot be read ("*"remove its directory or reboot" ]]
			run -1 "$fake/usher" status --root "$host"
			[[ $output == *"1 claims in /run/usher cannot be read ("*"): what they hold stays taken: install the usher that wrote them, or reboot"* ]]
			# Its own end and recover say so too
			run hook win11 release end destroyed
			[[ $output == *"usher: win11: the claim /run/usher/$uuid/claim.ini cannot be read"* ]]
			run -1 recover
			[[ $output == *"/run/usher/$uuid/claim.ini cannot be read"* ]]
			# A guest without a policy that wants nothing starts as ever
			run -0 hook plain prepare begin -
			[[ -z $output ]]
		}
		cp "$BATS_TEST_TMPDIR/whole" "$claim/claim.ini"
	done
	run -0 hook win11 release end destroyed
	[[ $(gpu_driver) == nvidia || $(gpu_driver) == nouveau || $(gpu_driver) == amdgpu ]]
}

@test "a hook without stdin, stdout and stderr takes and gives back all the same" {
	local helper
	no_stdin() {
		"$fake/usher-hook" --root "$host" --helpers "$fake" "$@" 0<&- 3>&-
	}
	run -1 no_stdin win11 prepare begin -
	[[ $output == "usher: win11: cannot read the guest's XML: line 1: the XML ends before </domain>" ]]
	"$fake/usher-hook" --root "$host" --helpers "$fake" win11 prepare begin - \
		<test/trees/win11.xml 1>&- 2>&- 3>&-
	[[ $(gpu_driver) == vfio-pci ]]
	"$fake/usher-hook" --root "$host" --helpers "$fake" win11 release end destroyed \
		0<&- 1>&- 2>&- 3>&-
	[[ $(gpu_driver) != vfio-pci ]]
	[[ ! -e $claim ]]
	# Helpers by hand
	hook win11 prepare begin -
	for helper in usher-vfio usher-hugepages; do
		"$fake/$helper" --root "$host" undo "$claim/claim.ini" 0<&- 1>&- 2>&- 3>&-
	done
	[[ $(gpu_driver) != vfio-pci ]]
	[[ $(<"$host/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages") == 512 ]]
}

@test "what could not be given back is said at once, and given back when the cause is gone" {
	local start
	hook_orphaned win11 prepare begin -
	mkdir -p "$host/.fake"
	echo 'usher-vfio:write:*driver_override fail EIO x100000' >"$host/.fake/faults"
	start=$SECONDS
	run -1 hook games prepare begin -
	# A guest that somebody gives back at the moment would be waited for, half a minute
	((SECONDS - start < 15))
	[[ $output == *"could not be given back after guest win11: run usher recover, and see journalctl -t usher for what is in its way" ]]
	rm "$host/.fake/faults"
	run -0 recover
	[[ $(gpu_driver) != vfio-pci ]]
	[[ ! -e $claim ]]
}

@test "a hook whose libvirt dies in the middle of a start gives back what it took" {
	local parent tries
	echo 'usher-vfio:write:*driver_override hang' >"$host/.fake/faults"
	(hook win11 prepare begin - && true) 3>&- &
	parent=$!
	for ((tries = 0; tries < 100; tries++)); do
		[[ ! -s $claim/vfio.journal ]] || break
		sleep 0.1
	done
	kill -KILL "$parent"
	wait "$parent" || true
	# Its parent is init now, which never ends: it must not be what keeps the claim alive
	rm "$host/.fake/faults"
	touch "$host/.fake/release"
	for ((tries = 0; tries < 200; tries++)); do
		[[ -e $claim ]] || break
		sleep 0.1
	done
	[[ ! -e $claim ]]
	[[ $(gpu_driver) != vfio-pci ]]
}

@test "the start of any guest gives back what a dead one held" {
	hook_orphaned win11 prepare begin -
	[[ $(gpu_driver) == vfio-pci ]]
	run -0 hook plain prepare begin -
	[[ $(gpu_driver) != vfio-pci ]]
	[[ ! -e $claim ]]
}

@test "what a dead claim's scripts of prepare have done is given back by those of release, once" {
	local tree=$host/etc/libvirt/hooks/qemu.d/win11 told=$BATS_TEST_TMPDIR/told guest
	mkdir -p "$tree/prepare/begin" "$tree/release/end"
	install -m 755 /dev/stdin "$tree/prepare/begin/dm.sh" <<<$'#!/bin/sh\necho "stopped, $*" >>'"$told"
	install -m 755 /dev/stdin "$tree/release/end/dm.sh" \
		<<<$'#!/bin/sh\necho "started, $*, $(grep -c "<name>win11")" >>'"$told"
	printf '[scripts]\nrun = yes\n' >"$host/etc/usher/conf.d/win11.ini"
	hook_orphaned win11 prepare begin -
	[[ $(<"$told") == "stopped, win11 prepare begin -" ]]
	# Before all that the next start of a guest with a policy does, be it another one or itself
	for guest in games win11; do
		run -0 "$fake/usher" plan --root "$host" --xml "$BATS_TEST_TMPDIR/$guest.xml" "$guest" prepare
		[[ $output == *"# prepare: guest win11 is gone: "*"
# prepare: scripts release: /etc/libvirt/hooks/qemu.d/win11/release/end/dm.sh is run: what it writes cannot be told
# prepare: usher-"*" undo "* ]] || { echo "$output"; return 1; }
	done
	# Nobody who is none of ours waits for them
	run -0 hook plain prepare begin -
	[[ $(<"$told") == "stopped, win11 prepare begin -" && -e $claim ]]
	run -0 recover
	[[ ! -e $claim ]]
	# Should libvirt's own release still come
	run -0 hook win11 release end failed
	[[ $(<"$told") == "stopped, win11 prepare begin -
started, win11 release end failed, 1" ]]
}

@test "a start that a script refuses has the scripts of release, as with libvirt" {
	local tree=$host/etc/libvirt/hooks/qemu.d/win11 told=$BATS_TEST_TMPDIR/told
	mkdir -p "$tree/prepare/begin" "$tree/release/end"
	install -m 755 /dev/stdin "$tree/prepare/begin/no.sh" <<<$'#!/bin/sh\necho no disk >&2\nexit 3'
	install -m 755 /dev/stdin "$tree/release/end/dm.sh" <<<$'#!/bin/sh\necho "$*" >>'"$told"
	printf '[scripts]\nrun = yes\n' >"$host/etc/usher/conf.d/win11.ini"
	run -1 hook win11 prepare begin -
	[[ $output == *"prepare/begin/no.sh failed with status 3: no disk: mend it"* ]]
	[[ $(<"$told") == "win11 release end failed" && ! -e $claim ]]
}

@test "what a killed hook left of a claim it did not write is swept away" {
	mkdir -p "$host/run/usher"
	chmod 700 "$host/run/usher"
	mkdir -m 700 "$claim"
	: >"$claim/.claim.ini.4711"
	: >"$claim/claim.lock"
	run -0 recover
	[[ ! -e $claim ]]
	# What an undo still needs stays
	mkdir -m 700 "$claim"
	echo 'x' >"$claim/vfio.journal"
	chmod 600 "$claim/vfio.journal"
	run recover
	[[ -e $claim/vfio.journal ]]
}

@test "a lock that stays busy when the guest has started is said, and counts where it matters" {
	local qemu
	hook win11 prepare begin -
	"$fake/fakehost" --root "$host" qemu -uuid "$uuid" 3>&- &
	background=$!
	"$fake/fakehost" --root "$host" exec win11 "$background"
	flock "$claim/claim.lock" sleep 30 3>&- &
	qemu=$background background=$!
	until ! flock -n "$claim/claim.lock" true; do sleep 0.1; done
	run -0 hook win11 started begin -
	[[ $output == *"usher: win11: cannot lock the claim: "* ]]
	sed -i 's/^required = .*/required = cpuset/' "$claim/claim.ini"
	run -1 hook win11 started begin -
	kill "$qemu"
}

@test "the end of a guest takes the hook no longer than its budget, lock and undo together" {
	local start
	hook win11 prepare begin -
	flock "$claim/claim.lock" sleep 0.9 3>&- &
	background=$!
	until ! flock -n "$claim/claim.lock" true; do sleep 0.05; done
	# Helpers that take their time
	mkdir "$BATS_TEST_TMPDIR/slow"
	for helper in cpuset display nosleep; do
		printf '#!/bin/sh\nexec sleep 10\n' >"$BATS_TEST_TMPDIR/slow/usher-$helper"
		chmod +x "$BATS_TEST_TMPDIR/slow/usher-$helper"
	done
	start=${EPOCHREALTIME/./}
	"$fake/usher-hook" --root "$host" --helpers "$BATS_TEST_TMPDIR/slow" win11 stopped end - \
		<"$BATS_TEST_TMPDIR/win11.xml" 2>/dev/null 3>&-
	# 2 s, and what a busy machine adds; 3.7 s when the two added up
	(((${EPOCHREALTIME/./} - start) / 1000 < 3000))
}

@test "with pin = auto the hook's claim has cores before it is checked, and none means no start if they are required" {
	local plain=$host/run/usher/e7a5fdbd-edaf-9455-926a-d65c16db1811
	hook win11 prepare begin -
	printf '[guest]\nrequired = cpuset\n[cpuset]\npin = auto\n' >"$host/etc/usher/conf.d/plain.ini"
	run -0 hook plain prepare begin -
	[[ -z $output ]] || { echo "$output"; return 1; }
	# The host has cores 0-3 left; that of CPU 0 is the last to go
	grep -qx 'cpus = 3,11' "$plain/claim.ini"
	grep -qx 'vcpu = 0 3,11' "$plain/claim.ini"
	grep -qx 'state = handed' "$plain/claim.ini"
	hook plain release end -
	sed -i 's,<vcpu>1<,<vcpu>7<,' "$BATS_TEST_TMPDIR/plain.xml"
	run -1 hook plain prepare begin -
	[[ $output == "usher: plain: no cores can be chosen for it: its 7 vCPUs need whole cores that nobody else is pinned to, and one more for the host; free are 4 cores, CPUs 0-3,8-11: "* ]] ||
		{ echo "$output"; return 1; }
	[[ ! -e $plain ]]
	# Not required: it starts without, and that is said in the log
	printf '[cpuset]\npin = auto\n' >"$host/etc/usher/conf.d/plain.ini"
	run -0 hook plain prepare begin -
	run ! grep '^cpus' "$plain/claim.ini"
	grep -qx 'state = handed' "$plain/claim.ini"
}
