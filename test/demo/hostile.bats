#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/demo/hostile.bats - names nobody gives a guest, and state that none of ours has written

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	export BUILD_DIR=${BUILD_DIR:-build}
	env -u MAKEFLAGS -u MAKELEVEL make -s -j2 O="$BUILD_DIR" all fake >&2
	export PRISTINE=$BATS_FILE_TMPDIR/host RUNNING=$BATS_FILE_TMPDIR/running
	test/trees/unpack "$PRISTINE" test/trees/desktop.tree
	install -m 0644 test/trees/win11.ini "$PRISTINE/etc/usher/conf.d/win11.ini"
	echo untouched >"$PRISTINE/etc/canary"
	chmod 0644 "$PRISTINE/etc/canary"
	make_running >&2
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	fake=$BUILD_DIR/fake
	host=$BATS_TEST_TMPDIR/host
	uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809
}

# Files are replaced and never written into, but these: a tree can be copied by its names
copy() {
	rm -rf "$host"
	cp -al "$1" "$host"
	rm -f "$host"/.fake/{trace,lock} "$host"/.fake/count* "$host"/run/usher/*/*.lock
	: >"$host/.fake/lock"
}

# A host whose guest has just ended, before anything was given back
make_running() {
	local fake=$BUILD_DIR/fake host=$RUNNING qemu i
	cp -a "$PRISTINE" "$host"
	hook win11 prepare begin -
	hook win11 start begin -
	"$fake/fakehost" --root "$host" qemu -uuid c7a5fdbd-edaf-9455-926a-d65c16db1809 3>&- &
	qemu=$!
	"$fake/fakehost" --root "$host" exec win11 "$qemu"
	hook win11 started begin -
	for ((i = 0; i < 100; i++)); do
		[[ $(cat "$host"/.fake/monitor/{left,right}/input | xargs) != "17 15" ]] || break
		sleep 0.1
	done
	kill "$qemu"
	"$fake/fakehost" --root "$host" gone win11
	# Its services ended with it, and ran usher recover: not here
	"$fake/fakehost" --root "$host" settle 1000 || true
}

# hook GUEST OPERATION SUBOPERATION EXTRA [XML] - as libvirt calls it
hook() {
	"$fake/usher-hook" --root "$host" --helpers "$fake" -- "${@:1:4}" <"${5:-test/trees/win11.xml}" 2>&1 3>&-
}

# What was done to the host, one PROGRAM PATH a line
changed() {
	[[ ! -e $host/.fake/trace ]] ||
		awk '$3 ~ /^(write|module|bus|i2c)$/ { print $2, $4 }' "$host/.fake/trace" | sort -u
}

# same_host FROM - $host is as it was, but for usher's locks
same_host() {
	diff <(test/trees/record "$1") <(test/trees/record "$host" | grep -vE '^d run/usher(/host)?$|^f run/usher/.*\.lock$')
}

@test "a guest of any name lives and leaves the host as it was, and no name writes to a terminal" {
	local name xml=$BATS_TEST_TMPDIR/guest.xml escaped
	# shellcheck disable=SC2016 # they must not expand
	local names=('two words' "it's" '"quoted"' -x --root --help ..x .hidden 'Größe' $'line\nfeed' '%s%n' '[x]' 'a=b;c'
		'*' '$(id)' '`id`' 'a\b' '&lt;' $'\u202ereversed' "$(printf 'n%.0s' {1..251})")
	for name in "${names[@]}"; do
		copy "$PRISTINE"
		install -m 0644 test/trees/win11.ini "$host/etc/usher/conf.d/$name.ini"
		cp -al "$host" "$BATS_TEST_TMPDIR/before"
		escaped=$(sed 's/&/\&amp;/g; s/</\&lt;/g; $!s/$/\&#10;/' <<<"$name" | tr -d '\n')
		NAME=$escaped perl -pe 's/<name>win11/<name>$ENV{NAME}/' test/trees/win11.xml >"$xml"
		for call in 'prepare begin -' 'start begin -' 'stopped end -' 'release end failed'; do
			# shellcheck disable=SC2086 # three words
			run -0 hook "$name" $call "$xml"
			[[ -z $output ]] || { echo "$name: $call: $output"; return 1; }
			[[ $call != prepare* || -s $host/run/usher/$uuid/claim.ini ]]
		done
		# It says what is wrong in one line, without what could rewrite it
		rm "$host/etc/usher/conf.d/$name.ini"
		echo '[vfio' >"$host/etc/usher/conf.d/$name.ini"
		run -1 hook "$name" prepare begin - "$xml"
		[[ ${#lines[@]} == 1 && $output == "usher: "*".ini:1: "* ]] || { echo "$name: $output"; return 1; }
		[[ $output != *[[:cntrl:]]* && $output != *$'\u202e'* ]]
		run -0 "$fake/usher" recover --root "$host"
		install -m 0644 test/trees/win11.ini "$host/etc/usher/conf.d/$name.ini"
		same_host "$BATS_TEST_TMPDIR/before"
		rm -rf "$BATS_TEST_TMPDIR/before"
	done
}

@test "a name that is no file's, or leads elsewhere, has no policy: nothing is written anywhere" {
	local name
	for name in .. . ../win11 sub/../win11 /etc/usher/conf.d/win11 conf.d/win11 '' "$(printf 'n%.0s' {1..252})" \
		"$(printf 'n%.0s' {1..255})" "$(printf 'n%.0s' {1..5000})"; do
		copy "$PRISTINE"
		sed "s|<name>win11|<name>$name|" test/trees/win11.xml >"$BATS_TEST_TMPDIR/guest.xml"
		run hook "$name" prepare begin - "$BATS_TEST_TMPDIR/guest.xml"
		[[ $status == 0 && -z $output ]] || { echo "$name: $status: $output"; return 1; }
		[[ ! -e $host/run/usher && -z $(changed) ]]
	done
}

@test "a claim that others may write, that is a link or lies behind one, is believed by no helper" {
	local helper trick claim
	for helper in vfio hugepages cpuset display nosleep seat; do
		for trick in mode link dirlink uuid elsewhere; do
			copy "$RUNNING"
			claim=$host/run/usher/$uuid
			cp --remove-destination "$RUNNING/run/usher/$uuid/claim.ini" "$claim/claim.ini"
			printf '\n[seat]\nrelease = yes\ndevice = 0000:01:00.0\n' >>"$claim/claim.ini"
			case $trick in
			mode) chmod 0622 "$claim/claim.ini" ;;
			link)
				mv "$claim/claim.ini" "$host/etc/claim.ini"
				ln -s ../../../etc/claim.ini "$claim/claim.ini"
				;;
			dirlink)
				mv "$claim" "$host/etc/claim"
				ln -s ../../etc/claim "$claim"
				;;
			uuid) sed -i 's/^uuid = .*/uuid = ..\/..\/..\/etc/' "$claim/claim.ini" ;;
			elsewhere)
				mv "$claim" "$host/run/usher/d7a5fdbd-edaf-9455-926a-d65c16db1810"
				claim=$host/run/usher/d7a5fdbd-edaf-9455-926a-d65c16db1810
				;;
			esac
			for verb in apply undo; do
				run -64 "$fake/usher-$helper" --root "$host" "$verb" "$claim/claim.ini" 3>&-
				[[ -z $(changed) ]] || { echo "usher-$helper $verb, $trick: $(changed)"; return 1; }
			done
		done
	done
}

@test "a hook that cannot look for its guest's claim says that it is not looked after" {
	local call
	copy "$RUNNING"
	chmod 0777 "$host/run/usher"
	for call in 'started begin -' 'stopped end -' 'release end destroyed'; do
		# shellcheck disable=SC2086 # three words
		run -0 hook win11 $call
		[[ $output == "usher: win11: cannot look for the guest's claim in /run/usher: "*": run usher recover GUEST when it has ended" ]]
		[[ -z $(changed) ]]
	done
}

# What a helper could have written to, as the trace has it
places() {
	case $1 in
	vfio) echo 'sys/(bus/pci|devices/pci)[^ ]*|sys/module/[a-z0-9_]+' ;;
	hugepages) echo 'sys/(devices/system/node|kernel/mm)/[^ ]*|proc/sys/vm/[a-z_]+' ;;
	cpuset) echo 'sys/(fs/cgroup|devices/system/cpu|devices/virtual/workqueue)/[^ ]*|proc/irq/[^ ]*|proc/sys/vm/stat_interval|proc/sys/kernel/watchdog_cpumask|sys/class/graphics/fbcon/cursor_blink|systemd1/SetUnitProperties/[a-z]+\.(slice|scope)/AllowedCPUs' ;;
	display) echo '[0-9]+(/[^ ]*)?|i2c[^ ]*|dev/i2c-[0-9]+[^ ]*|sys/module/i2c_dev' ;;
	nosleep) echo "systemd1/StopUnit/usher-nosleep-$uuid.service" ;;
	seat) echo 'sys/class/(vtconsole|drm|sound)/[^/ ]+/(bind|uevent)|sys/bus/platform/drivers/[^/ ]+/bind|systemd1/StartUnit/display-manager.service' ;;
	esac
}

# replay HELPER WHAT - undo with the journal there is: it ends, and writes where it could have written
replay() {
	local wrong
	run timeout 60 "$fake/usher-$1" --root "$host" undo "$host/run/usher/$uuid/claim.ini" 3>&-
	wrong=$(changed | sed 's/^[^ ]* //' | grep -vE "^($(places "$1"))\$|^\$" || true)
	wrong+=$(changed | grep -F .. || true)
	[[ $status =~ ^(0|1|2|64)$ && -z $wrong && $(<"$host/etc/canary") == untouched ]] ||
		{ echo "usher-$1, $2: status $status, written: $wrong: $output"; return 1; }
}

# journal HELPER FILE - in the place of its own
journal() {
	cp --remove-destination "$2" "$host/run/usher/$uuid/$1.journal"
	chmod 0600 "$host/run/usher/$uuid/$1.journal"
}

@test "a journal of whatever records is replayed only to where its helper could have written" {
	local helper verb object i=0 new=$BATS_TEST_TMPDIR/new.journal
	local objects=(../../../../../../etc/canary /etc/canary etc/canary
		0000:01:00.0/../../../../../../etc/canary sys/../etc/canary)
	local -A verbs=(
		[vfio]="reset power override driver keeper awaits bar reset-handed power-handed"
		[hugepages]="pages give thp zfs"
		[cpuset]="guest exclusive slice plain workqueue mask irq governor energy latency vmstat cursor sched pin"
		[display]="want switcher monitor switch shown late"
		[nosleep]="unit"
		[seat]="remove sound unit vtcon firmware"
	)
	for helper in "${!verbs[@]}"; do
		for verb in ${verbs[$helper]} bogus; do
			for object in "${objects[i++ % ${#objects[@]}]}" "${objects[i++ % ${#objects[@]}]}"; do
				copy "$RUNNING"
				cp --remove-destination "$RUNNING/run/usher/$uuid/claim.ini" "$host/run/usher/$uuid/claim.ini"
				printf '\n[seat]\nrelease = yes\ndevice = 0000:01:00.0\n' >>"$host/run/usher/$uuid/claim.ini"
				echo "1 $verb $object ../../etc/canary /etc/canary" >"$new"
				journal "$helper" "$new"
				replay "$helper" "$verb $object"
			done
		done
	done
}

@test "a record of the helper's own with one word in it changed leads nowhere else" {
	local helper line field i=0 old=$BATS_TEST_TMPDIR/old.journal new=$BATS_TEST_TMPDIR/new.journal
	local words=(../../../../../../etc/canary % /etc/canary 0%0A1 etc/canary ..)
	for helper in vfio display; do
		cp "$RUNNING/run/usher/$uuid/$helper.journal" "$old"
		[[ -s $old ]]
		for ((line = 1; line <= $(wc -l <"$old"); line += 2)); do
			for field in 3 4 5; do
				copy "$RUNNING"
				awk -v line="$line" -v field="$field" -v word="${words[i++ % ${#words[@]}]}" \
					'NR == line { $field = word } { print }' "$old" >"$new"
				journal "$helper" "$new"
				replay "$helper" "$(sed -n "${line}p" "$new")"
			done
		done
	done
}
