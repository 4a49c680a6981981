#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/demo/demo.bats - the demo, what its table notices, and install.sh

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	export BUILD_DIR=${BUILD_DIR:-build}
	# Whatever a caller's make has said is not for this build
	env -u MAKEFLAGS -u MAKELEVEL make -s -j2 O="$BUILD_DIR" all fake >&2
	export RECORDINGS=$BATS_FILE_TMPDIR
	test/demo/play "$BUILD_DIR/fake" --keep "$RECORDINGS" >"$RECORDINGS/out"
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	dest=$BATS_TEST_TMPDIR/dest
	sources=$BATS_FILE_TMPDIR/sources
}

# --- the demo ----------------------------------------------------------------------------------

@test "the demo shows each kind of setting change and come back" {
	cat "$RECORDINGS/out"
	for line in \
		'0000:01:00.0 .*driver +nouveau +vfio-pci +nouveau' \
		'0000:01:00.3 .*driver_override +none +vfio-pci +none' \
		'/dev/dri/card1 .*there +- +there' \
		'network interface enp4s0 +there +- +there' \
		'in the pool +512 +4096 +512' \
		'surplus +0 +3584 +0' \
		'cpuset.cpus.isolated\) +none +4-7,12-15 +none' \
		'unbound kernel work .*ffff +0f0f +ffff' \
		'monitor left: input +15 \(DP-1\) +17 \(HDMI-1\) +15' \
		'sleep inhibitor +- +block sleep:id.* -' \
		'claim in /run/usher +- +held +-'; do
		grep -qE "$line" "$RECORDINGS/out" || { echo "no line: $line"; false; }
	done
	grep -qE '^[0-9]+ entries changed, every one of the [0-9]+ is as it was before$' "$RECORDINGS/out"
}

@test "the demo's output fits 100 columns, also when something is broken" {
	local nr
	nr=$(awk '/^hook:/ { nr += $6 } END { print int(nr / 3) }' "$RECORDINGS/out")
	test/demo/play "$BUILD_DIR/fake" --break "$nr" >"$BATS_TEST_TMPDIR/out"
	grep -q "^ *$nr .* FAILED: EIO" "$BATS_TEST_TMPDIR/out"
	run awk 'length > 100 { print FILENAME ": " $0; bad = 1 } END { exit bad }' \
		"$RECORDINGS/out" "$BATS_TEST_TMPDIR/out"
	echo "$output"
	((status == 0))
}

@test "the demo leaves no file and no process behind" {
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	mkdir "$TMPDIR"
	test/demo/play "$BUILD_DIR/fake" >/dev/null
	[[ -z $(ls -A "$TMPDIR") ]]
	run pgrep -f "$TMPDIR"
	((status == 1))
}

@test "a write that fails in prepare refuses the start, names it and undoes what was done" {
	run test/demo/play "$BUILD_DIR/fake" --break 5
	echo "$output"
	((status == 0))
	[[ $output == *"FAILED: EIO"* ]]
	[[ $output == *"hook: prepare begin"*"exit status 1"*"usher: win11: "* ]]
	[[ $output == *"start was refused (in prepare)."* ]]
	[[ $output == *"every one of the "*" entries is as it was before"* ]]
}

@test "a write that fails while the guest starts costs it only what could not be had" {
	run test/demo/play "$BUILD_DIR/fake" \
		--fault 'usher-cpuset:write:*/vcpu0/cpuset.cpus.partition fail EIO x1'
	echo "$output"
	((status == 0))
	[[ $output == *"hook: started begin"*"log: win11: its CPUs"* ]]
	[[ $output == *"AllowedCPUs"* ]]
	[[ $output == *"every one of the "*" is as it was before"* ]]
}

# How many writes there are depends on how fast memory is found: the last ones are of release
@test "a write that fails while the host is given back is made good by usher recover" {
	local nr
	nr=$(awk '/^hook:/ { nr += $6 } END { print nr - 8 }' "$RECORDINGS/out")
	run test/demo/play "$BUILD_DIR/fake" --break "$nr"
	echo "$output"
	((status == 0))
	[[ $output == *"FAILED: EIO"* ]]
	[[ $output == *"hook: release end"*"exit status 1"*"usher recover tries"* ]]
	[[ $output == *"every one of the "*" is as it was before"* ]]
}

@test "a number past the last write is said, not shown as a success" {
	run test/demo/play "$BUILD_DIR/fake" --break 9999
	((status == 1))
	[[ $output == *"writes: none was broken"* ]]
}

@test "the demo goes without root rights" {
	((EUID == 0)) || skip "not root, so all the others show it"
	local as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	mkdir -m 0777 "$BATS_TEST_TMPDIR/nobody"
	cp -r test "$BATS_TEST_TMPDIR/nobody/"
	cp -r "$BUILD_DIR/fake" "$BATS_TEST_TMPDIR/nobody/fake"
	chmod -R a+rX "$BATS_TEST_TMPDIR/nobody"
	chmod a+x "$BATS_RUN_TMPDIR" "${BATS_TEST_TMPDIR%/*}" "$BATS_TEST_TMPDIR"
	TMPDIR=$BATS_TEST_TMPDIR/nobody run "${as[@]}" \
		"$BATS_TEST_TMPDIR/nobody/test/demo/play" "$BATS_TEST_TMPDIR/nobody/fake"
	echo "$output"
	((status == 0))
}

# --- what the comparison notices ------------------------------------------------------------------

# plant PATH SED: the recording after, with one difference of this kind
plant() {
	sed -E "$2" "$RECORDINGS/after" >"$BATS_TEST_TMPDIR/after"
	! cmp -s "$RECORDINGS/after" "$BATS_TEST_TMPDIR/after"
	run test/demo/compare "$RECORDINGS/before" "$RECORDINGS/during" "$BATS_TEST_TMPDIR/after"
	echo "$output"
	((status == 1))
	[[ $output == *"not back: /$1"* ]]
	[[ $output == *"1 of "*" entries did not come back"* ]]
}

# add LINE: an entry that was not there before
add() {
	local path=${1#* }
	plant "${path%% *}" "\$a $1"
}

@test "a driver that is not back is noticed" {
	plant sys/devices/pci 's,^(s [^ ]*0000:01:00.0/driver) .*,\1 x/vfio-pci,'
}

@test "an override that is not back is noticed" {
	plant sys/devices/pci 's,^(f [^ ]*0000:01:00.0/driver_override) .*,\1 vfio-pci,'
}

@test "a device node that is not back is noticed" {
	plant dev/dri/card1 '/^f dev.dri.card1$/d'
}

@test "a pool that is not back is noticed" {
	plant sys/devices/system/node 's,^(f [^ ]*node0/hugepages/hugepages-2048kB/nr_hugepages) .*,\1 513,'
}

@test "isolated CPUs that are not back are noticed" {
	plant sys/fs/cgroup/cpuset.cpus.isolated 's,^r sys/fs/cgroup/cpuset.cpus.isolated,& 4,'
}

@test "a workqueue mask that is not back is noticed" {
	plant sys/devices/virtual/workqueue 's,^(f [^ ]*workqueue/cpumask) .*,\1 0f0f,'
}

@test "an IRQ that is not back is noticed" {
	plant proc/irq/129 's,^(f proc/irq/129/smp_affinity_list) .*,\1 3,'
}

@test "a governor that is not back is noticed" {
	plant sys/devices/system/cpu 's,^(f [^ ]*policy4/scaling_governor) .*,\1 performance,'
}

@test "a sysctl that is not back is noticed" {
	plant proc/sys/vm/stat_interval 's,^(f [^ ]*stat_interval) .*,\1 120,'
}

@test "a monitor that is not back is noticed" {
	plant .fake/monitor/left/input 's,^(f .fake/monitor/left/input) .*,\1 17,'
}

@test "an inhibitor that is left is noticed" {
	add "f .fake/inhibitors/77 block sleep usher"
}

@test "AllowedCPUs that are left are noticed" {
	add "f .fake/properties/system.slice/AllowedCPUs 0-3"
}

@test "a cgroup setting that is left is noticed" {
	add "f sys/fs/cgroup/machine.slice/cpuset.cpus.exclusive 4-7"
}

@test "a claim that is left is noticed" {
	add "f run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini [claim]"
}

@test "a baseline that is left is noticed" {
	add "f run/usher/host/cpuset.ini [baseline]"
}

@test "a module that is gone is noticed" {
	plant sys/module/igb '/^d sys.module.igb$/d'
}

@test "a guest that got nothing is noticed" {
	run test/demo/compare "$RECORDINGS/before" "$RECORDINGS/before" "$RECORDINGS/before"
	((status == 1))
	[[ $output == *"nothing changed"* ]]
}

# --- recordings ------------------------------------------------------------------------------------

@test "a recording that is unpacked and recorded again is the same" {
	test/trees/unpack "$BATS_TEST_TMPDIR/a" test/trees/desktop.tree
	test/trees/record "$BATS_TEST_TMPDIR/a" >"$BATS_TEST_TMPDIR/a.tree"
	test/trees/unpack "$BATS_TEST_TMPDIR/b" "$BATS_TEST_TMPDIR/a.tree"
	test/trees/record "$BATS_TEST_TMPDIR/b" | diff "$BATS_TEST_TMPDIR/a.tree" -
	grep -q '^x .*/edid 00ffffffffffff00' "$BATS_TEST_TMPDIR/a.tree"
}

@test "a recording cannot lead out of its directory" {
	printf 'f ../outside x\n' >"$BATS_TEST_TMPDIR/bad.tree"
	run test/trees/unpack "$BATS_TEST_TMPDIR/c" "$BATS_TEST_TMPDIR/bad.tree"
	((status == 1))
	[[ ! -e $BATS_TEST_TMPDIR/outside ]]
}

# --- planning by hand ------------------------------------------------------------------------------

@test "a start is planned for another host's tree, without its processes, its libvirt or root" {
	local tree=$BATS_TEST_TMPDIR/other
	test/trees/unpack "$tree" test/trees/desktop.tree
	find "$tree" | sort >"$BATS_TEST_TMPDIR/before"
	: >"$BATS_TEST_TMPDIR/empty.ini"
	run -0 "$BUILD_DIR/usher" plan --root "$tree" --policy "$BATS_TEST_TMPDIR/empty.ini" \
		--xml test/trees/win11.xml
	[[ $output == *"guest = win11"* && $output == *"device = 0000:01:00.0"* ]]
	find "$tree" | sort | diff "$BATS_TEST_TMPDIR/before" -
	# Not one of its own
	printf '[vfio]\nbroken = yes\n' >"$BATS_TEST_TMPDIR/bad.ini"
	run -1 "$BUILD_DIR/usher" plan --root "$tree" --policy "$BATS_TEST_TMPDIR/bad.ini" \
		--xml test/trees/win11.xml
	[[ $output == "usher: win11: $BATS_TEST_TMPDIR/bad.ini:2: unknown key 'broken' in [vfio]"* ]]
}

# --- install.sh ------------------------------------------------------------------------------------

install_into() {
	DESTDIR=$dest run ./install.sh install
	echo "$output"
	((status == 0))
}

uninstall_from() {
	DESTDIR=$dest run ./install.sh uninstall
	echo "$output"
	((status == 0))
}

@test "what is installed is on record, and uninstalling leaves nothing" {
	install_into
	[[ $(readlink "$dest/etc/libvirt/hooks/qemu") == /usr/sbin/usher-hook ]]
	[[ $(stat -c %a "$dest/usr/sbin/usher-hook") == 755 ]]
	[[ $(stat -c %a "$dest/etc/usher/conf.d") == 755 ]]
	[[ -L $dest/usr/lib/systemd/system/libvirtd.service.wants/usher-recover.service ]]
	[[ -L $dest/usr/lib/systemd/system/virtqemud.service.wants/usher-recover.service ]]
	# What it leaves behind in a driver must outlive it
	grep -q '^KillMode=process$' "$dest/usr/lib/systemd/system/usher-recover.service"
	[[ -e $dest/usr/share/man/man8/usher-hook.8 ]]
	# What lives leave in /run goes, too, but not what a guest still holds
	mkdir -p "$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809" "$dest/run/usher/host"
	touch "$dest/run/usher/registry.lock"
	uninstall_from
	[[ -e $dest/run/usher/registry.lock ]]
	rmdir "$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809"
	install_into
	uninstall_from
	rmdir "$dest/run"
	[[ -z $(ls -A "$dest") ]]
}

@test "every program the Makefile builds is installed" {
	install_into
	for program in usher usher-hook usher-vfio usher-hugepages usher-cpuset usher-display \
		usher-nosleep usher-seat; do
		cmp "$BUILD_DIR/$program" "$dest/usr/sbin/$program"
	done
}

# Sources of its own, with what has been built in them: all else here is tested with BUILD_DIR
own_sources() {
	[[ ! -e $sources ]] || return 0
	mkdir -p "$sources/build"
	cp -a Makefile install.sh conf.d helpers hooks lib "$sources/"
	cp -a "$BUILD_DIR"/{obj,flags,libusher.a,usher,usher-*} "$sources/build/"
}

# in_sources COMMAND... - with nothing of this build's or the caller's make in its environment
in_sources() {
	own_sources
	(cd "$sources" && env -u MAKEFLAGS -u MAKELEVEL -u BUILD_DIR DESTDIR="$dest" "$@")
}

# The one literal that is the whole path: PATH names directories, too
runs_helpers_from() {
	[[ $(tr '\0' '\n' <"$dest$1/usher-hook" | grep -ax -e '[a-z/]*/sbin') == "$1" ]]
}

@test "prefix and sysconfdir are honoured, also where something is built already" {
	run in_sources make -s -j2 install prefix=/opt/usher sysconfdir=/opt/etc CFLAGS=-O1
	echo "$output"
	((status == 0))
	runs_helpers_from /opt/usher/sbin
	[[ -x $dest/opt/usher/sbin/usher-hook && -e $dest/opt/etc/usher/usher.ini ]]
	[[ $(readlink "$dest/opt/etc/libvirt/hooks/qemu") == /opt/usher/sbin/usher-hook ]]
	grep -q '^ExecStart=/opt/usher/sbin/usher recover$' \
		"$dest/opt/usher/lib/systemd/system/usher-recover.service"
	prefix=/opt/usher sysconfdir=/opt/etc uninstall_from
	[[ -z $(ls -A "$dest") ]]
}

@test "make install and uninstall take any character in DESTDIR" {
	dest="$BATS_TEST_TMPDIR/a b'c\"d;e"
	run env -u MAKEFLAGS -u MAKELEVEL make -s O="$BUILD_DIR" install "DESTDIR=$dest"
	echo "$output"
	((status == 0))
	[[ -x $dest/usr/sbin/usher-hook && -e $dest/etc/usher/usher.ini ]]
	run -0 env -u MAKEFLAGS -u MAKELEVEL make -s O="$BUILD_DIR" uninstall "DESTDIR=$dest"
	[[ -z $(ls -A "$dest") ]]
}

@test "DESTDIR and BUILD_DIR are relative to where the caller is" {
	local sources=$PWD build
	build=$(realpath --relative-to "$BATS_TEST_TMPDIR" "$BUILD_DIR")
	cd "$BATS_TEST_TMPDIR"
	DESTDIR='re l' BUILD_DIR=$build run "$sources/install.sh" install
	echo "$output"
	((status == 0))
	[[ -x re\ l/usr/sbin/usher-hook && ! -e $sources/re\ l ]]
	DESTDIR='re l' run -0 "$sources/install.sh" uninstall
	[[ -z $(ls -A 're l') ]]
}

@test "programs that were built for another prefix are not installed" {
	prefix=/opt/usher DESTDIR=$dest run ./install.sh install
	echo "$output"
	((status == 1))
	[[ $output == *"was not built for /opt/usher/sbin"*"make prefix=/opt/usher"* ]]
	[[ -z $(ls -A "$dest") ]]
}

@test "a program in use is replaced, not written to" {
	install_into
	inode=$(stat -c %i "$dest/usr/sbin/usher-hook")
	exec 8<"$dest/usr/sbin/usher-hook"
	install_into
	[[ $(stat -c %i "$dest/usr/sbin/usher-hook") != "$inode" ]]
	exec 8<&-
}

@test "another hook stays and usher goes beside it" {
	mkdir -p "$dest/etc/libvirt/hooks"
	echo '#!/bin/sh' >"$dest/etc/libvirt/hooks/qemu"
	install_into
	[[ $output == *"another hook and stays"*qemu.d/usher* ]]
	[[ $(cat "$dest/etc/libvirt/hooks/qemu") == '#!/bin/sh' ]]
	[[ $(readlink "$dest/etc/libvirt/hooks/qemu.d/usher") == /usr/sbin/usher-hook ]]
	uninstall_from
	[[ $(cd "$dest" && find . -type f -o -type l) == ./etc/libvirt/hooks/qemu ]]
}

@test "another hook with a libvirt that reads no qemu.d is an error, and nothing is installed" {
	mkdir -p "$dest/etc/libvirt/hooks" "$BATS_TEST_TMPDIR/bin"
	echo '#!/bin/sh' >"$dest/etc/libvirt/hooks/qemu"
	printf '#!/bin/sh\necho "virtqemud (libvirt) 6.4.0"\n' >"$BATS_TEST_TMPDIR/bin/virtqemud"
	chmod +x "$BATS_TEST_TMPDIR/bin/virtqemud"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH DESTDIR=$dest run ./install.sh install
	((status == 1))
	[[ $output == *"libvirt 6.4 reads no qemu.d"*"let it end with: [ ! -x /usr/sbin/usher-hook ] || exec /usr/sbin/usher-hook \"\$@\""* ]]
	[[ ! -e $dest/usr ]]
	# Which has guests start while it is not there
	output=${output#*let it end with: }
	echo "${output% (its *}" >>"$dest/etc/libvirt/hooks/qemu"
	chmod +x "$dest/etc/libvirt/hooks/qemu"
	[[ -e /usr/sbin/usher-hook ]] || "$dest/etc/libvirt/hooks/qemu" win11 prepare begin -
	PATH=$BATS_TEST_TMPDIR/bin:$PATH install_into
	[[ -x $dest/usr/sbin/usher-hook && ! -e $dest/etc/libvirt/hooks/qemu.d ]]
}

@test "a hook of one's own that calls usher-hook gets no second usher beside it" {
	local hooks=$dest/etc/libvirt/hooks
	mkdir -p "$hooks/qemu.d"
	printf '#!/bin/sh\n# usher-hook is beside it\n' >"$hooks/qemu"
	chmod +x "$hooks/qemu"
	install_into
	[[ -L $hooks/qemu.d/usher ]]
	echo 'exec /usr/sbin/usher-hook "$@"' >>"$hooks/qemu"
	install_into
	[[ $output == *"hooks/qemu is a hook of your own that calls usher-hook: it stays"* ]]
	[[ -x $dest/usr/sbin/usher-hook && ! -L $hooks/qemu.d/usher ]]
	uninstall_from
	[[ $output == *"warning: $hooks/qemu calls usher-hook, which is gone: take that out of it"* ]]
	[[ -z $(find "$dest" ! -type d ! -path "$hooks/qemu") ]]
	mv "$hooks/qemu" "$hooks/qemu.d/10-mine"
	DESTDIR=$dest run ./install.sh install
	((status == 1))
	[[ $output == *"qemu.d/10-mine calls usher-hook, and every step would run twice: move it away"* ]]
	[[ ! -e $dest/usr && ! -e $hooks/qemu ]]
}

@test "a copy of the hook that was dropped in becomes a link to the program, and nothing runs twice" {
	local hooks=$dest/etc/libvirt/hooks
	mkdir -p "$hooks"
	cp "$BUILD_DIR/usher-hook" "$hooks/qemu"
	install_into
	[[ $output == *"hooks/qemu is a copy of usher-hook: it becomes a link to /usr/sbin/usher-hook"* ]]
	[[ $(readlink "$hooks/qemu") == /usr/sbin/usher-hook && ! -e $hooks/qemu.d ]]
	# Of an older version, over the link of an install
	rm "$hooks/qemu"
	{ cat "$BUILD_DIR/usher-hook" && echo older; } >"$hooks/qemu"
	install_into
	[[ $(readlink "$hooks/qemu") == /usr/sbin/usher-hook && ! -e $hooks/qemu.d ]]
	uninstall_from
	[[ -z $(find "$dest" ! -type d) ]]
	# Beside another hook
	mkdir -p "$hooks/qemu.d"
	echo '#!/bin/sh' >"$hooks/qemu"
	install -m 0755 "$BUILD_DIR/usher-hook" "$hooks/qemu.d/usher"
	install_into
	[[ $(readlink "$hooks/qemu.d/usher") == /usr/sbin/usher-hook ]]
	uninstall_from
	install -m 0755 "$BUILD_DIR/usher-hook" "$hooks/qemu.d/10-mine"
	DESTDIR=$dest run ./install.sh install
	((status == 1))
	[[ $output == *"qemu.d/10-mine is a copy of usher-hook, and every step would run twice: move it away"* ]]
	[[ ! -e $dest/usr && ! -e $hooks/qemu.d/usher ]]
}

# refuses_to_replace PATH - somebody's file or link there: named with the cure, and nothing is done
refuses_to_replace() {
	local before
	before=$(cd "$dest" && find . -exec ls -ld --time-style=+ {} + | sort)
	mkdir -p "$BATS_TEST_TMPDIR/tmp"
	TMPDIR=$BATS_TEST_TMPDIR/tmp DESTDIR=$dest run ./install.sh install
	echo "$output"
	((status == 1))
	[[ $output == *"$dest$1 "*": move it away"* ]]
	[[ -z $(ls -A "$BATS_TEST_TMPDIR/tmp") ]]
	[[ $(cd "$dest" && find . -exec ls -ld --time-style=+ {} + | sort) == "$before" ]]
}

@test "a file of somebody else's at any place is refused, and nothing is installed" {
	local path
	install_into
	find "$dest" ! -type d ! -path '*/etc/usher/*' ! -name manifest -printf '/%P\n' \
		>"$BATS_TEST_TMPDIR/places"
	(($(wc -l <"$BATS_TEST_TMPDIR/places") > 20))
	while IFS= read -r path; do
		# Another hook there is not in the way
		[[ $path != /etc/libvirt/hooks/qemu ]] || continue
		rm -r "$dest"
		mkdir -p "$dest${path%/*}"
		echo theirs >"$dest$path"
		refuses_to_replace "$path"
		[[ $(cat "$dest$path") == theirs ]]
	done <"$BATS_TEST_TMPDIR/places"
}

@test "an upgrade that fails half-way can be tried again, and taken off" {
	local pages=$dest/usr/share/man/man8
	install_into
	# Of an older version, and a page's place that cannot be written
	sed -i 's/$/ (old)/' "$pages/usher-cpuset.8"
	sed -i "s|^f /usr/share/man/man8/usher-cpuset.8 .*|f /usr/share/man/man8/usher-cpuset.8 $(
		sha256sum <"$pages/usher-cpuset.8" | cut -d ' ' -f 1)|" "$dest/usr/lib/usher/manifest"
	mkdir "$pages/usher-display.8.new"
	DESTDIR=$dest run ./install.sh install
	((status != 0))
	rm -r "$pages/usher-display.8.new"
	install_into
	cmp helpers/cpuset/usher-cpuset.8 "$pages/usher-cpuset.8"
	mkdir "$pages/usher-display.8.new"
	DESTDIR=$dest run ./install.sh install
	((status != 0))
	rm -r "$pages/usher-display.8.new"
	uninstall_from
	[[ -z $(find "$dest" ! -type d) ]]
}

@test "another hook in usher's place beside another hook is not replaced, whatever it is" {
	local hooks=$dest/etc/libvirt/hooks
	mkdir -p "$hooks/qemu.d"
	echo '#!/bin/sh' >"$hooks/qemu"
	ln -s /nowhere "$hooks/qemu.d/usher"
	refuses_to_replace /etc/libvirt/hooks/qemu.d/usher
	rm -r "$hooks/qemu.d"
	: >"$hooks/qemu.d"
	refuses_to_replace /etc/libvirt/hooks/qemu.d
}

@test "what an install without a record has left is taken over" {
	install_into
	rm -r "$dest/usr/lib/usher"
	install_into
	uninstall_from
	[[ -z $(find "$dest" ! -type d) ]]
}

# install_elsewhere PREFIX - an install below it, as far as its record and its hook tell
install_elsewhere() {
	install_into
	mkdir -p "$dest$1"
	mv "$dest"/usr/{sbin,lib} "$dest$1/"
	sed -i "s, /usr/\(sbin\|lib\)/, $1/\1/," "$dest$1/lib/usher/manifest"
	ln -sfn "$1/sbin/usher-hook" "$dest/etc/libvirt/hooks/qemu"
}

refuses_beside() {
	DESTDIR=$dest run ./install.sh install
	echo "$output"
	((status == 1))
	[[ $output == *"usher is installed below $1: "*"with prefix=$1 ./install.sh uninstall" ]]
	[[ ! -e $dest/usr/sbin && ! -e $dest/etc/libvirt/hooks/qemu.d ]]
}

@test "a second install below another prefix is refused with the way to take off the first" {
	install_elsewhere /opt/usher
	refuses_beside /opt/usher
	DESTDIR=$dest prefix=/opt/usher run -0 ./install.sh uninstall
	rm -r "$dest"
	install_elsewhere /usr/local
	refuses_beside /usr/local
	# Somebody has put another hook in its place since
	ln -sfn /etc/other-hook "$dest/etc/libvirt/hooks/qemu"
	refuses_beside /usr/local
	DESTDIR=$dest prefix=/usr/local run -0 ./install.sh uninstall
	install_into
}

@test "a hook of usher's that nothing is on record of is no other hook to go beside" {
	mkdir -p "$dest/etc/libvirt/hooks"
	ln -s /opt/usher/sbin/usher-hook "$dest/etc/libvirt/hooks/qemu"
	DESTDIR=$dest run ./install.sh install
	echo "$output"
	((status == 1))
	[[ $output == *"hooks/qemu leads to /opt/usher/sbin/usher-hook"*"take that off first" ]]
	[[ ! -e $dest/usr ]]
}

@test "a second install keeps the admin's file, and uninstalling keeps it too" {
	install_into
	echo '[nosleep]' >"$dest/etc/usher/usher.ini"
	echo '[vfio]' >"$dest/etc/usher/conf.d/win11.ini"
	install_into
	[[ $(cat "$dest/etc/usher/usher.ini") == '[nosleep]' ]]
	uninstall_from
	[[ $(cd "$dest" && find . -type f | sort | paste -sd ' ') == \
		"./etc/usher/conf.d/win11.ini ./etc/usher/usher.ini" ]]
}

@test "a file of an older version that this one lacks goes with the next install" {
	install_into
	echo old >"$dest/usr/sbin/usher-old"
	echo "f /usr/sbin/usher-old $(sha256sum <"$dest/usr/sbin/usher-old" | cut -d ' ' -f 1)" \
		>>"$dest/usr/lib/usher/manifest"
	install_into
	[[ ! -e $dest/usr/sbin/usher-old ]]
	uninstall_from
	[[ -z $(ls -A "$dest") ]]
}

@test "a configuration file nobody has touched follows the new version" {
	install_into
	echo '# old' >"$dest/etc/usher/usher.ini"
	sed -i "s,^c /etc/usher/usher.ini .*,c /etc/usher/usher.ini $(sha256sum \
		<"$dest/etc/usher/usher.ini" | cut -d ' ' -f 1)," "$dest/usr/lib/usher/manifest"
	install_into
	cmp conf.d/usher.ini "$dest/etc/usher/usher.ini"
}

@test "an installed file that somebody has changed is not removed" {
	install_into
	echo changed >>"$dest/usr/share/doc/usher/example.ini"
	uninstall_from
	[[ $output == *"kept /usr/share/doc/usher/example.ini"* ]]
	[[ -e $dest/usr/share/doc/usher/example.ini ]]
}

@test "nothing is taken off beside a guest that still holds something" {
	install_into
	mkdir -p "$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809"
	printf '[claim]\nguest = win11\n' \
		>"$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini"
	DESTDIR=$dest run ./install.sh uninstall
	((status == 1))
	[[ $output == *"guest win11 holds devices of this host: shut it down, or run usher recover"* ]]
	[[ -x $dest/usr/sbin/usher-hook ]]
}

@test "a guest that starts while usher is taken off keeps the hook, and all it needs" {
	local claim=$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini
	install_into
	mkdir -p "$BATS_TEST_TMPDIR/bin" "${claim%/*}"
	cat >"$BATS_TEST_TMPDIR/bin/rm" <<-END
		#!/bin/sh
		[ "\${*##*/hooks/}" != qemu ] || printf '[claim]\nguest = win11\n' >"$claim"
		exec "$(command -v rm)" "\$@"
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/rm"
	(cd "$dest" && find . ! -path './run/*' | sort) >"$BATS_TEST_TMPDIR/before"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH DESTDIR=$dest run ./install.sh uninstall
	((status == 1))
	[[ $output == *"guest win11 holds devices of this host: shut it down"* ]]
	(cd "$dest" && find . ! -path './run/*' | sort) | diff "$BATS_TEST_TMPDIR/before" -
	[[ $(readlink "$dest/etc/libvirt/hooks/qemu") == /usr/sbin/usher-hook ]]
	rm -r "$dest/run"
	uninstall_from
}

@test "a guest that starts while the package is removed keeps the hook, too" {
	local hook=$dest/etc/libvirt/hooks/qemu.d/usher
	local claim=$dest/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini
	mkdir -p "$BATS_TEST_TMPDIR/bin" "${hook%/*}" "${claim%/*}"
	sed "s,/etc/libvirt/,$dest&,; s,/run/usher/,$dest&," debian/usher.prerm >"$BATS_TEST_TMPDIR/prerm"
	ln -s /usr/sbin/usher-hook "$hook"
	cat >"$BATS_TEST_TMPDIR/bin/rm" <<-END
		#!/bin/sh
		printf '[claim]\nguest = win11\n' >"$claim"
		exec "$(command -v rm)" "\$@"
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/rm"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run -1 sh "$BATS_TEST_TMPDIR/prerm" remove
	[[ $output == "usher: guest win11 holds devices of this host: shut it down"* ]]
	[[ $(readlink "$hook") == /usr/sbin/usher-hook ]]
	# An upgrade is none
	run -0 sh "$BATS_TEST_TMPDIR/prerm" upgrade 0.2
	[[ -L $hook ]]
	rm "$claim"
	run -0 sh "$BATS_TEST_TMPDIR/prerm" remove
	[[ ! -L $hook ]]
}

@test "uninstalling what is not installed is an error" {
	mkdir "$dest"
	DESTDIR=$dest run ./install.sh uninstall
	((status == 1))
	[[ $output == *"not installed here"* ]]
}

@test "install.sh builds anew for another prefix, and warns of AppArmor" {
	run in_sources env prefix=/usr/local CFLAGS=-O1 ./install.sh install
	echo "$output"
	((status == 0))
	[[ $output == *"AppArmor lets libvirt run nothing from /usr/local/sbin"* ]]
	runs_helpers_from /usr/local/sbin
}

@test "nothing is built again with the same compiler and flags, all with another compiler" {
	local before object
	run -0 in_sources make -s -j2 build/libusher.a CFLAGS=-O1
	before=$(stat -c '%n %y' "$sources"/build/{libusher.a,obj/lib/*.o})
	run -0 in_sources make -s -j2 build/libusher.a CFLAGS=-O1
	[[ $(stat -c '%n %y' "$sources"/build/{libusher.a,obj/lib/*.o}) == "$before" ]]
	run -0 in_sources make -s -j2 build/libusher.a CFLAGS=-O1 CC=clang
	for object in "$sources"/build/obj/lib/*.o; do
		grep -qa 'clang version' "$object" || { echo "$object is as it was"; false; }
	done
}

@test "an unknown verb is wrong usage" {
	run ./install.sh reinstall
	((status == 64))
	[[ $output == *"usage: ./install.sh VERB"* ]]
}
