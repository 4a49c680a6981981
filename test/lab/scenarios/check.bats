#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/check.bats - each finding of usher check, provoked by its real cause

load ../guest/lib

readonly hook=/etc/libvirt/hooks/qemu

setup_file() {
	modprobe i2c-dev
}

setup() {
	common_setup
}

teardown() {
	common_teardown
	rm -rf /etc/libvirt/hooks/qemu.d
	chmod 755 /usr/sbin/usher-hook
	if ! systemctl is-active --quiet systemd-logind; then
		systemctl unmask --runtime systemd-logind
		systemctl start systemd-logind
	fi
	[[ -L $hook ]] && return
	ln -sfn /usr/sbin/usher-hook "$hook"
	systemctl reload libvirtd
}

# finding LEVEL CHECK TEXT [ARG...] - usher check says so, TEXT being a part of the line
finding() {
	local level=$1 check=$2 text=$3 output
	shift 3
	output=$(usher check "$@" 2>&1) || true
	grep -E "^$level +$check: " <<<"$output" | grep -qF -- "$text" ||
		fail "no $level of $check with: $text" "$output"
}

# xml FILTER [key=value...] - a guest's XML through sed, as a file
xml() {
	local filter=$1
	shift
	guest_xml fit uuid=11111111-2222-3333-4444-666666666666 "$@" | sed "$filter" >"$BATS_TEST_TMPDIR/fit.xml"
	echo "$BATS_TEST_TMPDIR/fit.xml"
}

@test "the host as it is installed has no fault" {
	run usher check
	if [[ -e /sys/fs/cgroup/cpuset.cpus.isolated ]]; then
		assert_equal "$status" 0
	else
		assert_equal "$status" 1
		finding warning partitions "has no remote cpuset partitions (they came with 6.7)"
	fi
	assert_equal "$(usher check --json | jq -r '.findings[] | select(.level == "error") | .text')" ""
	host_unchanged
}

@test "hook: missing, not executable, another one, twice" {
	rm "$hook"
	finding error hook "there is no $hook: guests start without usher"
	ln -s /usr/sbin/usher-hook "$hook"
	chmod 644 /usr/sbin/usher-hook
	finding error hook "$hook cannot be executed"
	# As it says: guests start without usher, also one whose policy it would refuse
	policy fit '[nonsense]'
	guest_define fit memory=32
	systemctl reload libvirtd
	guest_start fit
	guest_destroy fit
	virsh undefine fit >/dev/null
	chmod 755 /usr/sbin/usher-hook
	mkdir -p "$hook.d"
	ln -s /usr/sbin/usher-hook "$hook.d/usher"
	finding error hook "both are usher, so every step runs twice"
	rm "$hook"
	printf '#!/bin/sh\n' >"$hook"
	finding warning hook "$hook is another hook, which libvirt runs first"
	rm -r "$hook.d"
	finding error hook "$hook is another hook, and usher is not beside it"
	rm "$hook"
	ln -s /usr/sbin/nothing/usher-hook "$hook"
	finding error hook "$hook leads to nothing: guests start without usher: reinstall usher"
	rm "$hook"
	{
		cat /usr/sbin/usher-hook
		echo another build
	} >"$hook"
	chmod 755 "$hook"
	finding warning hook "$hook is a copy of usher-hook, of another build than the helpers in /usr/sbin"
	cp /usr/sbin/usher-hook "$hook"
	finding ok hook "libvirt's hook is usher"
	rm "$hook"
	ln -s /usr/sbin/usher-hook "$hook"
	systemctl reload libvirtd
	host_unchanged
}

@test "programs: one is not there, one cannot be executed" {
	mv /usr/sbin/usher-display /usr/sbin/usher-display.away
	finding error programs "/usr/sbin/usher-display: No such file or directory: reinstall usher"
	mv /usr/sbin/usher-display.away /usr/sbin/usher-display
	chmod 644 /usr/sbin/usher-seat
	finding error programs "/usr/sbin/usher-seat: Permission denied: reinstall usher"
	chmod 755 /usr/sbin/usher-seat
	finding ok programs "all of usher's programs are there"
}

@test "reload: a hook that the daemon has not seen is not run, and check says so" {
	rm "$hook"
	systemctl reload libvirtd
	sleep 1.2
	ln -s /usr/sbin/usher-hook "$hook"
	finding warning reload "systemctl reload libvirtd.service"
	guest_define fit memory=32
	policy fit '[nonsense]'
	guest_start fit
	guest_destroy fit
	systemctl reload libvirtd
	finding ok reload "the daemon knows of the hook"
	run virsh start fit
	((status != 0))
	host_unchanged
}

@test "apparmor: what lies where libvirt may run nothing" {
	mkdir -p /usr/local/sbin
	cp /usr/sbin/usher* /usr/local/sbin/
	run -2 /usr/local/sbin/usher check
	assert_contains "$output" "AppArmor enforces libvirt's profile, which lets it run nothing from /usr/local/sbin"
	# As it says: no guest will start
	guest_define fit memory=32
	ln -sfn /usr/local/sbin/usher-hook "$hook"
	run virsh start fit
	((status != 0)) || fail "it was started"
	assert_contains "$output" "Permission denied"
	ln -sfn /usr/sbin/usher-hook "$hook"
	guest_start fit
	guest_destroy fit
	rm /usr/local/sbin/usher*
}

@test "rivals: irqbalance, where it cannot be told which CPUs to leave alone" {
	systemctl start irqbalance
	wait_for 10 compgen -G "/run/irqbalance/*.sock"
	run usher check
	[[ $output != *irqbalance* ]] || fail "$output"
	mv /run/irqbalance /run/irqbalance.away
	finding warning rivals "irqbalance runs and moves interrupts onto the guests' CPUs, and has no socket"
	mv /run/irqbalance.away /run/irqbalance
	systemctl stop irqbalance
}

# service NAME FILE [TEXT] - a service whose process is known by that file's name
service() {
	local name=$1 file=$BATS_TEST_TMPDIR/$2
	if [[ -n ${3-} ]]; then
		printf '%s\n' "$3" >"$file"
	else
		cp /usr/bin/sleep "$file"
	fi
	chmod 755 "$file"
	systemd-run --quiet --unit="$name" "$file" infinity
}

# What the packages' own units start, by the names that the kernel has of it: /usr/sbin/tuned is a
# script of Python, power-profiles-daemon's name is cut, and TLP leaves but a file. Seen on: Debian 12
@test "rivals: those that tune CPUs, memory and processes, each while it is at work" {
	service tuned tuned '#!/bin/bash
sleep infinity'
	finding warning rivals "tuned runs and sets governors and CPU masks of its own"
	systemctl stop tuned
	service power-profiles-daemon power-profiles-daemon
	finding warning rivals "power-profiles-daemon runs and slows the CPUs down unless told otherwise"
	systemctl stop power-profiles-daemon
	systemd-run --quiet --unit=tlp -p Type=oneshot -p RemainAfterExit=yes -p RuntimeDirectory=tlp \
		sh -c 'echo 0 >/run/tlp/last_pwr'
	finding warning rivals "TLP is on and sets governors"
	systemctl stop tlp
	service numad numad
	finding warning rivals "numad runs and moves guests' memory and threads: stop it"
	systemctl stop numad
	service auto-cpufreq auto-cpufreq '#!/bin/bash
sleep infinity'
	finding warning rivals "auto-cpufreq runs and sets governors while guests run: stop it"
	systemctl stop auto-cpufreq
	service ananicy-cpp ananicy-cpp
	finding warning rivals "ananicy-cpp runs and moves processes between cgroups"
	systemctl stop ananicy-cpp
	service thermald thermald
	finding warning rivals "thermald runs and caps the CPUs' clock"
	systemctl stop thermald
	finding ok rivals "no other program tunes CPUs or interrupts"
	host_unchanged
}

@test "hook: another one that libvirt runs besides usher" {
	mkdir -p "$hook.d"
	install -m 755 /dev/stdin "$hook.d/50-mine" <<<'#!/bin/sh'
	finding note hook "$hook.d/50-mine is another hook, which libvirt runs besides usher"
	rm -r "$hook.d"
	# An old libvirt's way: one's own hook calls usher's
	rm "$hook"
	install -m 755 /dev/stdin "$hook" <<<$'#!/bin/sh\nexec /usr/sbin/usher-hook "$@"'
	finding note hook "$hook is a hook of your own that calls usher-hook"
	systemctl reload libvirtd
	guest_define fit memory=32
	policy fit '[nonsense]'
	start_refused_like fit "usher: fit: .*unknown section \[nonsense\].*"
	rm "$hook"
	ln -s /usr/sbin/usher-hook "$hook"
	systemctl reload libvirtd
}

@test "left: a folder in /run that others may write" {
	mkdir -p /run/usher
	chmod 777 /run/usher
	finding error left "cannot read /run/usher: Operation not permitted: no guest will start"
	guest_define fit memory=32
	policy fit
	start_refused_like fit "usher: fit: /run/usher is not a directory that is root's alone.*"
	chmod 700 /run/usher
	finding ok left "nothing is left"
	host_unchanged
}

@test "left: a start whose daemon has died" {
	policy fit
	guest_define fit memory=32 pages=2048
	virsh dumpxml fit >"$BATS_TEST_TMPDIR/live.xml"
	# The daemon of this start is a shell that is gone when the hook is done
	bash -c "/usr/sbin/usher-hook fit prepare begin - <$BATS_TEST_TMPDIR/live.xml; :"
	finding warning left "guest fit is gone, but what it held is not given back: usher recover"
	run -0 usher status
	assert_contains "$output" ": dead: usher recover gives back what it holds"
	usher recover --json >"$BATS_TEST_TMPDIR/json"
	assert_equal "$(jq .back "$BATS_TEST_TMPDIR/json")" true
	finding ok left "nothing is left"
	host_unchanged
}

@test "policy: none, or one with a fault" {
	guest_define fit memory=32
	finding warning policy "the guest has no policy, so usher does nothing for it: usher init fit" fit
	policy fit '[vfio]' 'devcies = none'
	finding error policy "$policies/fit.ini:2: unknown key 'devcies' in [vfio]" fit
	policy fit '[guest]' 'uuid = 11111111-2222-3333-4444-555555555555'
	finding error policy "this policy was written for another guest of that name" fit
	host_unchanged
}

@test "steps: half a group, too few pages, a monitor that is not there or deaf, a host that cannot be kept awake" {
	policy fit '[display]' 'monitor = DEL:a0c4' 'guest_input = hdmi1'
	finding error steps "$SHARED_AUDIO" --xml "$(xml '' device="$SHARED_NIC")"
	finding error steps "cannot get 65536 MiB of huge pages" --xml "$(xml '' memory=65536 pages=2048)"
	finding warning steps "no monitor DEL:a0c4" --xml "$(xml '' memory=32)"
	monitor_add name=deaf "cable=$HOST_GPU,0x11" mfg=DEF inputs=0x0f,0x11 input=0x0f deaf=1
	policy fit '[display]' 'monitor = DEF:2401' 'guest_input = hdmi1' 'host_input = dp1'
	finding warning steps "has an EDID but does not answer to DDC/CI" --xml "$(xml '' memory=32)"
	monitors_remove
	systemctl mask --runtime --now systemd-logind 2>/dev/null
	finding warning steps "logind does not answer and cannot be started" --xml "$(xml '' memory=32)"
	systemctl unmask --runtime systemd-logind 2>/dev/null
	systemctl start systemd-logind
	wait_for 10 busctl status org.freedesktop.login1
	host_unchanged 30
}

@test "pins and nodes" {
	policy fit
	finding warning pins "no vCPU is pinned" --xml "$(xml '' device="$NIC")"
	finding warning pins "1 of 2 vCPUs are pinned" --xml "$(xml '' vcpus=2 pins=2)"
	finding warning pins "two vCPUs are pinned to CPU 2" --xml "$(xml '' vcpus=2 pins='2 2')"
	finding error pins "CPU 9, not online" --xml "$(xml '' vcpus=1 pins=9)"
	finding warning nodes "across the NUMA nodes 0-1" --xml "$(xml '' vcpus=2 pins='1 2')"
	finding warning nodes "NUMA node 1, but the memory may come from any" --xml "$(xml '' vcpus=2 pins='2 3')"
	host_unchanged
}

@test "devices: machine, disk names, virtio, video, balloon, CPU model" {
	local disk="<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/vda'/><target dev='sda' bus='sata'/></disk>"
	local card="<interface type='user'><model type='e1000e'/></interface><video><model type='vga'/></video>"
	policy fit
	xml "s/machine='q35'/machine='pc-i440fx-7.0'/; s/<memballoon model='none'/<memballoon model='virtio'/" \
		device="$GPU" device="$AUDIO" "extra=$disk$card" >/dev/null
	run usher check --xml "$BATS_TEST_TMPDIR/fit.xml"
	assert_contains "$output" "the guest is an old PC (pc-i440fx-7.0)"
	assert_contains "$output" "disk /dev/vda can be another disk after the next boot"
	assert_contains "$output" "a disk is on an emulated controller: give it bus='virtio'"
	assert_contains "$output" "a network card is emulated"
	assert_contains "$output" "an emulated video device stands beside the passed GPU"
	assert_contains "$output" "the memory balloon is of no use with a passed device"
	assert_contains "$output" "set <cpu mode='host-passthrough'/>"
	host_unchanged
}

# two_start - let both start with the host, or not
two_start() {
	virsh autostart "$@" fit >/dev/null
	virsh autostart "$@" other >/dev/null
}

@test "autostart: two guests of the host's start want one device, one CPU, or more memory than there is" {
	guest_define fit device="$NIC" pins=2
	guest_define other device="$NIC" pins=2
	policy fit
	finding ok autostart "" fit
	two_start
	finding error autostart "guest other starts with the host and has $NIC too" fit
	guest_define other uuid="$(guest_uuid other)" pins=2
	finding error autostart "guest other starts with the host and wants CPU 2 too, and which of the two gets it is chance, the other is refused: pin one of them to other CPUs" fit
	# With a policy of its own it is the other one that can come first
	policy fit '[cpuset]' 'isolate = no'
	policy other
	finding error autostart "guest other starts with the host and wants CPU 2 too" fit
	policy other '[cpuset]' 'isolate = no'
	finding ok autostart "" fit
	rm "$policies/other.ini"
	guest_define other uuid="$(guest_uuid other)" \
		extra="<disk type='block' device='disk'><source dev='/dev/vda'/><target dev='vdx' bus='virtio'/></disk>"
	guest_define fit uuid="$(guest_uuid fit)" \
		extra="<disk type='block' device='disk'><source dev='/dev/vda'/><target dev='vdx' bus='virtio'/></disk>"
	finding error autostart "guest other starts with the host and wants disk /dev/vda too" fit
	virsh autostart --disable other >/dev/null
	finding ok autostart "" fit
	two_start --disable
	virsh undefine --domain fit
	virsh undefine --domain other

	guest_define fit memory=2048 pages=2048
	guest_define other memory=2048 pages=2048
	two_start
	finding error autostart "the guests that start with the host take 4096 MiB for themselves alone" fit
	two_start --disable
	finding ok autostart "" fit
	host_unchanged
}

@test "scripts: an older tree that nobody runs" {
	mkdir -p "$hook.d/fit/prepare/begin"
	guest_define fit memory=32
	policy fit
	finding warning scripts "has scripts that nobody runs: set run = yes" fit
	policy fit '[scripts]' 'run = yes'
	finding ok scripts "" fit
	printf '#!/bin/sh\n' >"$hook.d/fit/prepare/begin/a.sh"
	finding warning scripts "a.sh is not run, it cannot be executed: chmod +x it" fit
	chmod 777 "$hook.d/fit/prepare/begin/a.sh"
	finding error scripts "a.sh is not run, others may write it: chmod go-w $hook.d/fit/prepare/begin/a.sh" fit
	start_refused_like fit "usher: fit: script $hook.d/fit/prepare/begin/a.sh is not run: others may write it: chmod go-w $hook.d/fit/prepare/begin/a.sh"
	chmod 755 "$hook.d/fit/prepare/begin/a.sh"
	rm "$hook"
	cp "$hook.d/fit/prepare/begin/a.sh" "$hook"
	ln -s /usr/sbin/usher-hook "$hook.d/usher"
	finding warning scripts "may be run twice, by usher and by the hook beside it: remove that hook, or run = yes" fit
	policy fit
	finding note scripts "has scripts, which $hook is left to run" fit
	rm "$hook"
	ln -s /usr/sbin/usher-hook "$hook"
	rm -r "$hook.d"
	host_unchanged
}

@test "groups: saved, compared, and a device that has gone since is told" {
	usher groups --save "$BATS_TEST_TMPDIR/groups.xml"
	run -0 usher groups --xml "$BATS_TEST_TMPDIR/groups.xml"
	assert_equal "$output" "no device has changed"
	echo 1 >"/sys/bus/pci/devices/$NIC/remove"
	run -1 usher groups --xml "$BATS_TEST_TMPDIR/groups.xml"
	assert_contains "$output" "$NIC Intel Corporation 82574L Gigabit Network Connection: is gone"
	echo 1 >/sys/bus/pci/rescan
	wait_for 10 test -e "/sys/bus/pci/devices/$NIC/driver"
	run -0 usher groups --xml "$BATS_TEST_TMPDIR/groups.xml"
	assert_equal "$(usher groups --json | jq -r --arg a "$GPU" '.devices[] | select(.address == $a) | .driver')" bochs-drm
}
