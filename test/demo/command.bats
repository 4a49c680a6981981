#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/demo/command.bats - the admin's command on the sample host

bats_require_minimum_version 1.5.0

readonly GPU=0000:01:00.0
. "$BATS_TEST_DIRNAME/../schema.bash"

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	export BUILD_DIR=${BUILD_DIR:-build}
	env -u MAKEFLAGS -u MAKELEVEL make -s -j2 O="$BUILD_DIR" all >&2
	export SAMPLE=$BATS_FILE_TMPDIR/host
	test/trees/unpack "$SAMPLE" test/trees/desktop.tree
	mkdir -p "$SAMPLE/etc/usher/conf.d"
	install -m 0644 test/trees/win11.ini "$SAMPLE/etc/usher/conf.d/win11.ini"
	install -d -m 0755 "$SAMPLE/etc/libvirt/hooks"
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return
	cp -a "$SAMPLE" "$BATS_TEST_TMPDIR/host"
	root=$BATS_TEST_TMPDIR/host
	xml=$BATS_TEST_TMPDIR/win11.xml
	cp test/trees/win11.xml "$xml"
}

usher() {
	"$BUILD_DIR/usher" --root "$root" "$@"
}

has() {
	[[ $output == *"$1"* ]] || { printf '%s\n' "$output" "lacks: $1" >&2; return 1; }
}

# finding LEVEL CHECK TEXT - usher check of the sample guest says so
finding() {
	run usher check --xml "$xml"
	grep -E "^$1 +$2: " <<<"$output" | grep -qF -- "$3" || { echo "$output"; return 1; }
}

# refuses BYTES TEXT - usher plan of an XML of these bytes, in one line
refuses() {
	printf '%b' "$1" >"$BATS_TEST_TMPDIR/bad.xml"
	run -1 usher plan --xml "$BATS_TEST_TMPDIR/bad.xml"
	[[ $output != *$'\n'* ]]
	has "cannot read the guest's XML: $2"
}

@test "the picture of the host has its cores, caches and groups" {
	run -0 usher status
	has "no guest holds anything"
	has "host: housekeeping CPUs 0-15 of 0-15"
	has "      L3 cache 0, 16384 KiB"
	has "        core 4   CPU 4,12     host"
	has "$GPU NVIDIA Corporation TU106 [GeForce RTX 20 nouveau"
}

# claim_from_plan UUID - as the hook would write it; there when it is whole, as the plan reads claims
claim_from_plan() {
	local dir=$root/run/usher/$1
	"$BUILD_DIR/usher-hook" --plan --root "$root" --xml "$xml" -- win11 prepare begin - |
		grep -v '^#' >"$BATS_TEST_TMPDIR/planned.ini"
	mkdir -p "$dir"
	chmod 0700 "$root/run/usher" "$dir"
	install -m 0600 "$BATS_TEST_TMPDIR/planned.ini" "$dir/claim.ini"
}

@test "a claim is in the picture: devices, CPUs, pages, monitors, and a worker that hangs" {
	local uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809 start
	mkdir -p "$root/proc/$$"
	claim_from_plan "$uuid"
	cp "/proc/$$/stat" "$root/proc/$$/stat"
	start=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20)
	(umask 077; echo "nouveau $$ $start unbind 0" >"$root/run/usher/$uuid/vfio.worker.$GPU")
	(umask 077; echo "$$ $start 0 sys/class/vtconsole/vtcon1/bind" >"$root/run/usher/$uuid/seat.left.$$")
	run -0 usher status win11
	has "win11 ($uuid): "
	has "  device      $GPU NVIDIA Corporation TU106 [GeForce RTX 2070], driver nouveau"
	has "  CPUs        4-7,12-15"
	has "  huge pages  4096 of 2 MiB"
	has "  monitor     DEL:a0c4:JK9X0123"
	has "  inhibits    sleep:idle"
	has "  stuck       $GPU: driver nouveau has not let go of it for "
	has "  stuck       the host's screen: the kernel has not returned from a write to /sys/class/vtconsole/vtcon1/bind for "
	run -0 usher status
	has "host: housekeeping CPUs 0-3,8-11 of 0-15"
	has "        core 4   CPU 4,12     win11"
	usher status --json | jq -e '
		.format == 1 and .command == "status"
		and (.guests[0] | .guest == "win11" and .cpus == "4-7,12-15" and (.stuck | length == 2 and all(.pid > 0))
			and .hugepages == [{size_kib: 2048, nodes: "any", pages: 4096}])
		and [.cpus[] | select(.guest).cpu] == [4, 12, 5, 13, 6, 14, 7, 15]
		and ([.devices[] | select(.guest).group] | unique) == [2, 11, 12]'
}

@test "what status does not know is null, and no CPU is an empty list" {
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	sed -i 's/^cpus = 4-7,12-15$/cpus = 0-15/' "$root"/run/usher/*/claim.ini
	rm -r "$root"/sys/devices/system/cpu/cpu*/cache/index3
	usher status --json | jq -e '.online == "0-15" and .housekeeping == ""
		and (.cpus | length == 16 and all(.l3 == null and .core >= 0 and .node == 0))'
	rm "$root/sys/devices/system/cpu/online"
	usher status --json | jq -e '.online == null and .housekeeping == null'
}

@test "check: the sample guest has its faults told one by one" {
	finding ok siblings ""
	sed -i "s/vcpu='7' cpuset='15'/vcpu='7' cpuset='3'/" "$xml"
	finding warning siblings "CPU 11,15 shares a core with a pinned CPU"
	finding warning topology "vCPU 6 and 7 for threads of one core, but they are pinned to two cores"
	cp test/trees/win11.xml "$xml"
	sed -i "s/cores='4' threads='2'/cores='8' threads='1'/" "$xml"
	finding warning topology "pinned to threads of the same core, but the guest does not know"
	sed -i "s/pc-q35-10.0/pc-i440fx-10.0/; s/bus='virtio'/bus='sata'/" "$xml"
	finding warning machine "old PC (pc-i440fx-10.0)"
	finding warning virtio "a disk is on an emulated controller"
	sed -i "s/type='file' device='disk'/type='block' device='disk'/; s/source file='[^']*'/source dev='\/dev\/sdb'/" "$xml"
	finding warning disks "disk /dev/sdb can be another disk after the next boot"
	mkdir -p "$root/dev/disk/by-id"
	ln -s ../../sdb "$root/dev/disk/by-id/ata-lab-1"
	finding warning disks "name it by its identity, /dev/disk/by-id/ata-lab-1"
	# An empty drive before it hides no disk
	sed -i "0,/<disk /s,<disk ,<disk type='block' device='cdrom'><target dev='sda' bus='sata'/></disk>&," "$xml"
	finding warning disks "disk /dev/sdb can be another disk"
	sed -i "s,>8</vcpu>,>\n 12\n</vcpu>," "$xml"
	finding warning pins "8 of 12 vCPUs are pinned"
}

@test "check: what the XML alone tells is told without a policy too, and with one that is refused" {
	local file=$root/etc/usher/conf.d/win11.ini
	sed -i "s,<memballoon,<video><model type='vga'/></video>&," "$xml"
	finding warning video "an emulated video device stands beside the passed GPU"
	echo nonsense >"$file"
	finding warning video "an emulated video device stands beside the passed GPU"
	finding note steps "not looked at: no start gets that far: see policy"
	rm "$file"
	finding warning video "an emulated video device stands beside the passed GPU"
	finding note steps "not looked at: usher does nothing for the guest: see policy"
	finding note autostart "not looked at"
}

@test "check is as good as its worst finding, in JSON too" {
	run -2 usher check --xml "$xml"
	ln -s /usr/sbin/usher-hook "$root/etc/libvirt/hooks/qemu"
	mkdir -p "$root/usr/sbin"
	install -m 0755 /dev/null "$root/usr/sbin/usher-hook"
	run -1 usher check --xml "$xml"
	run -0 usher check --xml "$xml" --policy /dev/null
	usher check --json --xml "$xml" --policy /dev/null | jq -e '.worst == "note" and .guest == "win11"'
	run usher check --xml "$BATS_TEST_DIRNAME/command.bats"
	((status == 2))
	rm "$root/sys/devices/system/cpu/online"
	run -2 usher check
	[[ $output == *"CPUs and devices below $root/sys" ]]
}

@test "groups: what cannot be read or written is said in one line, with its cause" {
	run -2 usher groups --xml "$root/none.xml"
	[[ $output == "usher: cannot read $root/none.xml: No such file or directory: "* && $output != *$'\n'* ]]
	run -2 usher groups --xml "$root"
	[[ $output == "usher: cannot read $root: Is a directory: "* && $output != *$'\n'* ]]
	run -2 usher groups --save "$root/none/groups.xml"
	[[ $output == "usher: cannot write $root/none/groups.xml: No such file or directory: "* && $output != *$'\n'* ]]
	run -2 usher groups --save /dev/full
	[[ $output == "usher: cannot write /dev/full: No space left on device: "* && $output != *$'\n'* ]]
	usher groups --save - >"$BATS_TEST_TMPDIR/groups.xml"
	run -0 usher groups --xml "$BATS_TEST_TMPDIR/groups.xml"
	has "no device has changed"
}

@test "plan says each step's writes, and is a claim that helpers can be run on" {
	run -0 usher plan --xml "$xml" --policy /dev/null
	has "#   write /sys/bus/pci/devices/$GPU/driver_override vfio-pci"
	printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/claim.ini"
	chmod 0600 "$BATS_TEST_TMPDIR/claim.ini"
	"$BUILD_DIR/usher-vfio" --root "$root" check "$BATS_TEST_TMPDIR/claim.ini"
	run -0 usher plan --xml "$xml" --policy /dev/null win11 prepare
	[[ $output != *'[claim]'* && $output != *'# started'* ]]
	run -64 usher plan --xml "$xml" win11 tomorrow
	has "there are prepare, started, stopped and release"
	cp -a "$root" "$BATS_TEST_TMPDIR/before"
	usher plan --json --xml "$xml" >/dev/null || true
	diff -r --no-dereference "$BATS_TEST_TMPDIR/before" "$root"
}

@test "plan says of what comes after the start what can be known before: pages, CPUs, monitors, sleep" {
	run -0 usher plan --xml "$xml"
	has "# started: usher-hugepages settle (required)
#   write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 512
# started: usher-cpuset apply"
	has "# started: usher-cpuset apply (best effort)
#   write /sys/fs/cgroup/machine.slice/cpuset.cpus.exclusive 4-7,12-15
#   write /sys/fs/cgroup/machine.slice/<scope>/cpuset.cpus.exclusive 4-7,12-15
#   write /sys/fs/cgroup/machine.slice/<scope>/libvirt/cpuset.cpus.exclusive 4-7,12-15
#   write /sys/fs/cgroup/machine.slice/<scope>/libvirt/vcpu0/cpuset.cpus.exclusive 4
#   write /sys/fs/cgroup/machine.slice/<scope>/libvirt/vcpu0/cpuset.cpus.partition isolated"
	has "#   write /proc/irq/default_smp_affinity f0f"
	has "#   write /proc/sys/vm/stat_interval 60"
	has "#   write /sys/class/graphics/fbcon/cursor_blink 0"
	has "#   write /proc/sys/kernel/watchdog_cpumask 0-3,8-11"
	has "# started: usher-display apply (best effort)"$'\n'"#   write input 17 to monitor DEL:a0c4:JK9X0123 after 0 ms, and 15 when"
	usher plan --json --xml "$xml" |
		jq -e '[.steps[] | select(.phase == "started") | .step] == ["hugepages", "cpuset", "display", "nosleep"]'
}

@test "plan names an older tree's scripts where the hook runs them" {
	local tree=$root/etc/libvirt/hooks/qemu.d/win11 scripts
	mkdir -p "$tree/prepare/begin" "$tree/start/begin" "$tree/release/end"
	install -m 755 /dev/stdin "$tree/prepare/begin/b.sh" <<<'#!/bin/sh'
	install -m 644 /dev/stdin "$tree/prepare/begin/a.sh" <<<'#!/bin/sh'
	cp -p "$tree/prepare/begin/b.sh" "$tree/start/begin"
	cp -p "$tree/prepare/begin/b.sh" "$tree/release/end"
	printf '[scripts]\nrun = yes\n' >"$BATS_TEST_TMPDIR/win11.ini"
	run -0 usher plan --xml "$xml" --policy "$BATS_TEST_TMPDIR/win11.ini" win11 prepare
	scripts=$(grep '^# prepare: scripts' <<<"$output")
	[[ $scripts == "# prepare: scripts prepare: /etc/libvirt/hooks/qemu.d/win11/prepare/begin/b.sh is run: what it writes cannot be told
# prepare: scripts start: /etc/libvirt/hooks/qemu.d/win11/start/begin/b.sh is run: what it writes cannot be told" ]]
	[[ $(tail -n 1 <<<"$output") == "# prepare: scripts start"* ]]
	usher plan --json --xml "$xml" --policy "$BATS_TEST_TMPDIR/win11.ini" win11 release |
		jq -e '[.steps[] | select(.step == "scripts") | .messages[]] == ["/etc/libvirt/hooks/qemu.d/win11/release/end/b.sh is run: what it writes cannot be told"]'
	run -0 usher plan --xml "$xml" --policy /dev/null win11 prepare
	[[ $output != *scripts* ]]
	# A start is refused for it, before what comes after
	chmod 777 "$tree/prepare/begin/b.sh"
	run -1 usher plan --xml "$xml" --policy "$BATS_TEST_TMPDIR/win11.ini"
	[[ $output == *"# prepare: scripts prepare: /etc/libvirt/hooks/qemu.d/win11/prepare/begin/b.sh is not run: others may write it: chmod go-w /etc/libvirt/hooks/qemu.d/win11/prepare/begin/b.sh"* ]]
	[[ $(tail -n 1 <<<"$output") == "# prepare: a required step fails: the start ends here" ]]
}

@test "a guest's name does nothing to the terminal that its holdings are shown on" {
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	# CSI in one byte of Latin-1 as UTF-8 has it, and the override of the writing direction
	printf '%s\n' "$(sed 's/^guest = .*/guest = %C2%9B2Jw%E2%80%AE/' \
		"$root/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini")" >"$BATS_TEST_TMPDIR/claim"
	install -m 0600 "$BATS_TEST_TMPDIR/claim" "$root/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini"
	run -0 usher status
	has '\xc2\x9b2Jw'
	[[ $output != *$'\xc2\x9b'* && $output != *$'\xe2\x80\xae'* ]]
	run -0 usher groups
	has 'held by'
	[[ $output != *$'\xc2\x9b'* && $output != *$'\xe2\x80\xae'* ]]
}

# owner_lives UUID - this shell owns the claim, and the tree has it as a process
owner_lives() {
	local start
	mkdir -p "$root/proc/$$"
	cp "/proc/$$/stat" "$root/proc/$$/stat"
	start=$(sed 's/.*) //' "/proc/$$/stat" | cut -d ' ' -f 20)
	sed -i -e "s/^owner = .*/owner = $$ $start/" -e 's/^state = .*/state = handed/' "$root/run/usher/$1/claim.ini"
}

# other_xml - a guest that has the same devices, CPUs and name of disks
other_xml() {
	sed -e 's|<name>win11</name>|<name>other</name>|' \
		-e 's|<uuid>[^<]*</uuid>|<uuid>11111111-2222-3333-4444-555555555555</uuid>|' "$xml"
}

@test "what another guest holds refuses a plan, with a policy or without, and is no matter to init" {
	local uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809
	claim_from_plan "$uuid"
	owner_lives "$uuid"
	other_xml >"$BATS_TEST_TMPDIR/other.xml"
	run -1 usher plan --xml "$BATS_TEST_TMPDIR/other.xml" --policy /dev/null
	has "PCI device $GPU is held by guest win11: shut that guest down first"
	run -1 usher plan --xml "$BATS_TEST_TMPDIR/other.xml"
	has "PCI device $GPU belongs to guest win11 alone while it runs"
	run usher check --xml "$BATS_TEST_TMPDIR/other.xml"
	has "error    policy: other: PCI device $GPU belongs to guest win11 alone while it runs"
	run -0 usher init --xml "$BATS_TEST_TMPDIR/other.xml"
	has "other.ini is written: usher check other"
}

@test "a guest that is about to run beside another one is refused what that one will have" {
	"$BUILD_DIR/usher-hook" --plan --root "$root" --xml "$xml" --policy /dev/null -- win11 prepare begin - |
		grep -v '^#' >"$BATS_TEST_TMPDIR/claim.ini"
	other_xml >"$BATS_TEST_TMPDIR/other.xml"
	run -1 "$BUILD_DIR/usher-hook" --plan --root "$root" --xml "$BATS_TEST_TMPDIR/other.xml" \
		--beside "$BATS_TEST_TMPDIR/claim.ini" --policy /dev/null -- other prepare begin -
	[[ $output == "usher: other: PCI device $GPU is held by guest win11: "* ]]
	run -1 "$BUILD_DIR/usher-hook" --plan --root "$root" --xml "$BATS_TEST_TMPDIR/other.xml" \
		--beside "$BATS_TEST_TMPDIR/claim.ini" -- other prepare begin -
	[[ $output == "usher: other: PCI device $GPU belongs to guest win11 alone while it runs: "* ]]
	run -1 "$BUILD_DIR/usher-hook" --plan --root "$root" --xml "$xml" --beside /nowhere -- win11 prepare begin -
	[[ $output == "usher: win11: cannot read the other guest's claim: No such file or directory" ]]
}

@test "what a guest that is gone holds is given back before anything is taken: plan says so" {
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	other_xml >"$BATS_TEST_TMPDIR/other.xml"
	run -0 usher plan --xml "$BATS_TEST_TMPDIR/other.xml" --policy /dev/null
	has "# prepare: guest win11 is gone: what it held is given back first"
	has "# prepare: usher-vfio undo (required)"
	has "# prepare: usher-vfio apply (required)"
	[[ ${output%%usher-vfio check*} == *"usher-vfio undo"* ]]
	# An earlier life of its own, too
	run -0 usher plan --xml "$xml" --policy /dev/null
	has "# prepare: guest win11 is gone: what it held is given back first"
	has "# prepare: usher-vfio apply (required)"
	[[ $output != *"this is its end"* ]]
	usher plan --json --xml "$xml" --policy /dev/null |
		jq -e '[.steps[] | select(.verb == "undo") | .phase] | unique == ["prepare"]'
}

@test "recover takes nothing from under a process that may be the guest's QEMU, and hangs" {
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	mkdir -p "$root/proc/999"
	echo qemu-system-x86 >"$root/proc/999/comm"
	mkfifo "$root/proc/999/cmdline"
	run -1 usher recover win11
	has "usher: win11: a process that may be its QEMU hangs in the kernel and cannot be asked: see ps"
	[[ -e $root/run/usher/c7a5fdbd-edaf-9455-926a-d65c16db1809/claim.ini ]]
}

# qemu_lives UUID - this shell's process in the tree is the guest's QEMU
qemu_lives() {
	owner_lives "$1"
	echo qemu-system-x86 >"$root/proc/$$/comm"
	printf 'qemu-system-x86_64\0-uuid\0%s\0' "$1" >"$root/proc/$$/cmdline"
}

@test "recover says what of a running guest it cannot mend, and that all else is back" {
	local uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809 guest
	claim_from_plan "$uuid"
	qemu_lives "$uuid"
	# Without a group of its own for its CPUs
	sed -i -e 's/^state = .*/state = running/' -e 's/^method = .*/method = partition/' \
		"$root/run/usher/$uuid/claim.ini"
	for guest in "" win11; do
		# shellcheck disable=SC2086
		run -2 usher recover $guest
		has "usher: win11: its CPUs 4-7,12-15 cannot be kept free of others: "
	done
	run -2 usher recover --json
	jq -e '.back == true and .mended == false and (.messages | length == 1 and (.[0] | contains("cannot be kept free of others")))' \
		<<<"$(grep -v '^usher: ' <<<"$output")"
	# Its hook was killed at work: neither is there anything to mend, nor may anything be given back
	sed -i 's/^state = .*/state = ending/' "$root/run/usher/$uuid/claim.ini"
	run -1 usher recover win11
	has "usher: win11: the guest runs (QEMU is pid $$), though its claim is in state ending: shut it down first"
}

@test "init writes a policy for a guest that has a disk, and no device" {
	sed -i -e "/<hostdev/,/<\/hostdev>/d" -e "/<interface/,/<\/interface>/d" \
		-e "s|</devices>|<disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vdx' bus='virtio'/></disk>&|" "$xml"
	run -0 usher init --force --xml "$xml"
	[[ $(<"$root/etc/usher/conf.d/win11.ini") != *"expect ="* ]]
}

@test "a name that the shell would take apart is quoted in what is to be pasted" {
	sed -i "s|<name>win11</name>|<name>a b; reboot \$(id) it's</name>|" "$xml"
	run usher check --xml "$xml"
	has "usher init 'a b; reboot \$(id) it'\''s'"
}

@test "of a guest that has been started, plan says its end" {
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	owner_lives c7a5fdbd-edaf-9455-926a-d65c16db1809
	run -0 usher plan --xml "$xml" --policy /dev/null
	has "# guest win11 has been started: this is its end; its claim is $root/run/usher/c7a5fdbd"
	has "# stopped: usher-cpuset undo (best effort)"
	has "# release: usher-vfio undo (required)"
	[[ $output != *"usher-vfio apply"* && $output != *"# release: usher-cpuset"* ]]
	has "# release: usher-display undo: what stopped could not give back"
	run -0 usher plan --xml "$xml" --policy /dev/null win11 release
	has "# release: usher-cpuset undo (best effort)"
	run usher plan --xml "$xml" --policy /dev/null win11 prepare
	has "# prepare: guest win11 has been started: what it holds counts as taken"
	usher plan --json --xml "$xml" --policy /dev/null |
		jq -e '[.steps[].phase] | unique == ["release", "stopped"]'
}

@test "plan says a step's refusal on stderr too, in one line" {
	rm "$root/sys/bus/pci/devices/$GPU/iommu_group"
	if usher plan --xml "$xml" --policy /dev/null >"$BATS_TEST_TMPDIR/plan" 2>"$BATS_TEST_TMPDIR/why"; then
		return 1
	fi
	grep -qF "# prepare: usher-vfio check (required): fails" "$BATS_TEST_TMPDIR/plan"
	[[ $(<"$BATS_TEST_TMPDIR/why") == "usher: win11: $GPU has no IOMMU group"* ]]
	(($(wc -l <"$BATS_TEST_TMPDIR/why") == 1))
}

@test "plan ends where the start does: all checks, and what is applied beside the step that fails" {
	local big=$BATS_TEST_TMPDIR/big.xml
	sed 's/8388608/20971520/' "$xml" >"$big"
	run -1 usher plan --xml "$big" --policy /dev/null
	has "# prepare: usher-hugepages check (required)"$'\n'
	has "# prepare: usher-hugepages apply (required): fails"
	has "# prepare: usher-vfio apply (required)"
	has "# prepare: a required step fails: the start ends here"
	[[ $output != *'# started'* ]]
	run -2 usher check --xml "$big" --policy /dev/null
	grep -qE '^error +steps: cannot get 10240 huge pages of 2 MiB on this host' <<<"$output"
	rm "$root/sys/bus/pci/devices/$GPU/iommu_group"
	run -1 usher plan --xml "$xml" --policy /dev/null
	has "# prepare: usher-vfio check (required): fails"
	has "# prepare: usher-nosleep check"
	[[ $output != *' apply '* ]]
	usher plan --json --xml "$xml" --policy /dev/null 2>/dev/null |
		jq -e '[.steps[].verb] | unique == ["check"]'
}

@test "plan says what is wrong with an XML as a start would, where it has no name too" {
	local name='<domain><name>win11</name>'
	refuses '' "line 1: the XML ends before </domain>"
	refuses "$name" "line 1: the XML ends before </domain>"
	refuses '<domain>\n<vcpu>' "line 2: the XML ends before </domain>"
	refuses '<domain>\n<name>a\x00b</name></domain>' "line 2: a NUL byte"
	refuses '\xff\xfe<\x00d\x00' "line 1: a NUL byte"
	refuses '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><domain><name>&e;</name></domain>' \
		"line 1: a document type definition, which libvirt never writes"
	refuses '<network><name>n</name></network>' "line 1: the root element is <network>"
	refuses "$name<description>$(printf '%*s' 4200000 '')</description></domain>" "larger than 4 MiB"
}

@test "a guest without a policy has no plan, whatever its name" {
	local name
	for name in '[x]' '--help' '-x' '..' 'a b'; do
		sed "s/<name>win11/<name>$name/" test/trees/win11.xml >"$xml"
		run -0 usher plan --xml "$xml"
		[[ $output == "# guest $name has no policy: none of usher's business" ]]
	done
}

@test "a guest that is switched off is no guest without a policy: check and plan name the line" {
	local file=$root/etc/usher/conf.d/win11.ini off
	printf '[guest]\nenabled = no\n' >"$file"
	off="has enabled = no (/etc/usher/conf.d/win11.ini:2)"
	finding warning policy "the guest $off, so usher does nothing for it: set enabled = yes"
	run -0 usher plan --xml "$xml"
	[[ $output == "# guest win11 $off: none of usher's business" ]]
	printf '[guest]\nenabled = no\n' >"$root/etc/usher/usher.ini"
	: >"$file"
	finding warning policy "the guest has enabled = no (/etc/usher/usher.ini:2)"
	rm "$file"
	finding warning policy "no policy, and a new one has enabled = no (/etc/usher/usher.ini:2): take that line out"
	rm "$root/etc/usher/usher.ini"
	finding warning policy "the guest has no policy, so usher does nothing for it: usher init win11"
}

@test "init writes what edit and the hook take, and asks before it overwrites" {
	local file=$root/etc/usher/conf.d/win11.ini
	run -1 usher init --xml "$xml" </dev/null
	has "there is a policy already"
	diff test/trees/win11.ini "$file"
	run -0 usher init --force --xml "$xml"
	grep -qF "expect = $GPU=10de:1f02 0000:01:00.1=10de:10f9" "$file"
	grep -qF "uuid = c7a5fdbd-edaf-9455-926a-d65c16db1809" "$file"
	run usher check --xml "$xml"
	has "ok       policy: "
	EDITOR='sed -i s/expect/expcet/' run -1 usher edit win11 </dev/null
	has "unknown key 'expcet' in [vfio]: did you mean 'expect'?"
	has "$file:"
	grep -q '^expect' "$file"
	EDITOR=false run -1 usher edit win11 </dev/null
	EDITOR=true run -0 usher edit win11 </dev/null
	has "nothing has changed"
}

# on_terminal ARG... - usher with a terminal, which is typed into what stands on stdin
on_terminal() {
	local line
	printf -v line '%q ' "$BUILD_DIR/usher" --root "$root" "$@"
	script -qec "$line" /dev/null
}

@test "on a terminal init asks before it overwrites: y does, all else does not" {
	local file=$root/etc/usher/conf.d/win11.ini answer
	for answer in n N '' no; do
		run -1 on_terminal init --xml "$xml" <<<"$answer"
		has "Overwrite it (y/N)? "
		has "$file is as it was: usher edit changes it, --force overwrites it"
		diff test/trees/win11.ini "$file"
	done
	run -0 on_terminal init --xml "$xml" <<<y
	has "Overwrite it (y/N)? "
	has "$file is written: usher check win11"
	grep -qF "uuid = c7a5fdbd-edaf-9455-926a-d65c16db1809" "$file"
}

@test "colour is for a terminal, where nobody has said NO_COLOR" {
	unset NO_COLOR
	claim_from_plan c7a5fdbd-edaf-9455-926a-d65c16db1809
	run on_terminal check --xml "$xml"
	has $'\e[31merror  \e[0m  '
	has $'\e[32mok     \e[0m  '
	run -0 on_terminal status
	has $'\e[1;36mwin11\e[0m'
	run -0 on_terminal status --json
	[[ $output != *$'\e'* ]]
	NO_COLOR=1 run on_terminal check --xml "$xml"
	[[ $output != *$'\e'* ]]
	run usher check --xml "$xml"
	[[ $output != *$'\e'* ]]
	run -0 usher status
	[[ $output != *$'\e'* ]]
}

# editor_of - what it reads is a script to edit with; the draft is "$1"
editor_of() {
	export root EDITOR=$BATS_TEST_TMPDIR/editor
	{ echo '#!/bin/bash' && cat; } >"$EDITOR"
	chmod +x "$EDITOR"
}

@test "one policy is edited by one at a time, and ^C is the editor's own" {
	local conf_d=$root/etc/usher/conf.d
	editor_of <<-'END'
		EDITOR='sed -i s/dp1/dp2/' "$BUILD_DIR/usher" --root "$root" edit win11 2>"$0.second"
		kill -INT "$PPID"
		echo '[seat]' >>"$1"
	END
	run -0 usher edit win11
	grep -qF "$conf_d/win11.ini is being written by another usher edit or init: end that first" \
		"$EDITOR.second"
	{ cat test/trees/win11.ini && echo '[seat]'; } | diff - "$conf_d/win11.ini"
	[[ $(ls -A "$conf_d") == win11.ini ]]
	# Killed in the middle of it
	editor_of <<-'END'
		kill -KILL "$PPID"
	END
	run -137 usher edit win11
	EDITOR=true run -0 usher edit win11
	[[ $(ls -A "$conf_d") == win11.ini ]]
}

@test "edit makes no policy of a typing error, and says who else may write one" {
	local conf_d=$root/etc/usher/conf.d
	EDITOR=true run -0 usher edit typo
	has "$conf_d/typo.ini: nothing has changed, and there is no such policy"
	[[ ! -e $conf_d/typo.ini ]]
	chmod g+w "$conf_d/win11.ini"
	EDITOR='sed -i s/dp1/dp2/' run -1 usher edit win11
	[[ $output == "usher: win11: /etc/usher/conf.d/win11.ini: group or others may write it: chmod go-w /etc/usher/conf.d/win11.ini" ]]
	mv "$conf_d/win11.ini" "$conf_d/other.ini"
	ln -s other.ini "$conf_d/win11.ini"
	EDITOR=true run -1 usher edit win11
	has "cannot read $conf_d/win11.ini: it is a symbolic link: edit what it leads to"
}

@test "wrong command lines are 64, and say what is right" {
	run -64 usher
	run -64 usher nonsense
	has "no command 'nonsense': see usher --help"
	run -64 usher status --xml x
	run -64 usher edit
	has "it is: usher edit [--json] GUEST"
	run -64 usher log
	run -64 usher status a b
	run -64 usher init --force
	has "it is: usher init [--force] [--json] [--xml FILE] GUEST"
	run -64 usher plan --json
	has "it is: usher plan [--json] [--xml FILE] [--policy FILE] GUEST [PHASE]"
}

@test "options that would be passed over are 64, too" {
	run -64 usher check --policy /nonexistent
	has "check --policy wants a GUEST, or --xml FILE"
	run -64 usher groups --save "$BATS_TEST_TMPDIR/saved.xml" --xml "$BATS_TEST_TMPDIR/other.xml"
	has "groups takes --save or --xml, not both"
	run -64 usher groups --json --save "$BATS_TEST_TMPDIR/saved.xml"
	has "groups takes --save or --json, not both"
	[[ ! -e $BATS_TEST_TMPDIR/saved.xml ]]
	run -0 usher groups --save "$BATS_TEST_TMPDIR/saved.xml"
}

into_full() {
	usher "$@" >/dev/full
}

into_closed_pipe() {
	(
		exec 4> >(:)
		wait "$!"
		usher "$@" >&4
	)
}

@test "output that does not arrive is no success" {
	local command
	for command in --help status groups 'status --json' "plan --json --xml $xml --policy /dev/null"; do
		# shellcheck disable=SC2086 # the words of a command line
		run -74 into_full $command
		[[ $output == "usher: cannot write its output: No space left on device"* ]]
	done
	# What was found is told by the status all the same
	run -2 into_full check --json --xml "$xml"
	has "usher: cannot write its output: No space left on device"
	# As a reader that has had enough, which needs no telling
	run -74 into_closed_pipe plan --xml "$xml" --policy /dev/null
	[[ -z $output ]]
}

@test "with pin = auto the plan of a guest without pins has the cores that would be chosen" {
	sed -i '/<cputune>/,/<\/cputune>/d' "$xml"
	printf '[cpuset]\npin = auto\n' >"$BATS_TEST_TMPDIR/draft.ini"
	run -0 usher plan --xml "$xml" --policy "$BATS_TEST_TMPDIR/draft.ini" win11
	has "pin = auto"
	has "# prepare: usher-cpuset choose (best effort)"
	has "#   choose CPUs 4-7,12-15"
	(umask 077; echo "$output" >"$BATS_TEST_TMPDIR/claim.ini")
	run -0 "$BUILD_DIR/usher-cpuset" --root "$root" check "$BATS_TEST_TMPDIR/claim.ini"
	has "8 vCPUs on CPUs 4-7,12-15"
	has "        core 4   CPU 4,12     vCPU 0 vCPU 1"
	has "        core 0   CPU 0,8      host"
	# More than the host has
	sed -i 's,<vcpu[^>]*>8</vcpu>,<vcpu>16</vcpu>,' "$xml"
	run usher plan --xml "$xml" --policy "$BATS_TEST_TMPDIR/draft.ini" win11
	has "no cores can be chosen for it: its 16 vCPUs need whole cores"
}

@test "what is printed for programs has the keys that usher(8) documents, and all of them" {
	local uuid=c7a5fdbd-edaf-9455-926a-d65c16db1809 out=$BATS_TEST_TMPDIR
	claim_from_plan "$uuid"
	# Only what is stuck has these three: stuckdrv.bats
	usher status --json >"$out/status"
	schema_fits status "path pid seconds" "$out/status"
	usher groups --json >"$out/groups"
	usher groups --save "$out/groups.xml"
	sed -i '0,/reset=/s/ reset="[^"]*"/ reset="magic"/' "$out/groups.xml"
	run -1 usher groups --json --xml "$out/groups.xml"
	echo "$output" >"$out/changes"
	schema_fits groups "" "$out/groups" "$out/changes"
	usher check --json --xml "$xml" >"$out/check" || true
	schema_fits check "" "$out/check"
	usher plan --json --xml "$xml" >"$out/plan" || true
	schema_fits plan "" "$out/plan"
	usher init --json --force --xml "$xml" >"$out/init"
	schema_fits init "" "$out/init"
	EDITOR='echo an editor speaks to' usher edit --json win11 >"$out/edit" 2>"$out/spoken"
	schema_fits edit "" "$out/edit"
	jq -e '.guest == "win11" and .changed == false' "$out/edit"
	grep -q "an editor speaks" "$out/spoken"
	# A guest without a policy has the same form
	rm "$root/etc/usher/conf.d/win11.ini"
	usher plan --json --xml "$xml" >"$out/plan"
	jq -e '.guest == "win11" and .claim == null and .steps == []' "$out/plan"
	run -0 usher recover --json nobody
	grep -v '^usher: ' <<<"$output" >"$out/recover"
	schema_fits recover "" "$out/recover"
	# The comparison sees what is missing, and what is too much
	jq 'del(.worst)' "$out/check" >"$out/less"
	run -1 schema_fits check "" "$out/less"
	jq '.more = 1' "$out/check" >"$out/more"
	run -1 schema_fits check "" "$out/more"
}
