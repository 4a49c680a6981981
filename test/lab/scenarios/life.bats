#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/life.bats - a guest takes the host's hardware and gives it back, however it ends

load ../guest/lib

setup() {
	monitor_add name=desk "cable=$HOST_GPU,0x0f" "cable=$GPU,0x11" mfg=DEL product=0xa0c4 serial=JK9X
	common_setup
}

teardown() {
	rm -f /run/lab-slow-start /etc/libvirt/hooks/qemu.d/50-slow-start
	rm -f /run/lab-look /etc/libvirt/hooks/qemu.d/90-look
	[[ -z ${viewer-} ]] || kill "$viewer" 2>/dev/null || true
	common_teardown
}

# win11 [key=value...] - the guest of the main job: GPU and audio, NIC, USB controller, pages, pins
win11() {
	guest_define win11 device="$GPU" device="$AUDIO" device="$NIC" device="$USB" \
		memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1 "$@"
	policy win11 '[display]' 'monitor = DEL:a0c4:JK9X' 'guest_input = hdmi1' \
		'host_input = dp1' 'delay = 0'
}

claim_of() {
	echo "/run/usher/$(guest_uuid "$1")/claim.ini"
}

claim_says() {
	grep -qx "$2" "$(claim_of "$1")"
}

inhibited_for() {
	systemd-inhibit --list --no-legend --no-pager | grep -q "sleep:handle-lid-switch *guest $1 is running *block"
}

monitor_shows() {
	[[ $(monitor_input desk) == "$1" ]]
}

# All that win11 takes is taken
win11_has_it_all() {
	local device
	for device in "$GPU" "$AUDIO" "$NIC" "$USB"; do
		assert_equal "$device $(driver_of "$device")" "$device vfio-pci"
	done
	assert_equal "$(pool_size 2048)" 32
	assert_alone 2-3
	inhibited_for win11 || fail "no inhibitor: $(systemd-inhibit --list --no-pager)"
	wait_for 30 monitor_shows 0x11
	claim_says win11 "state = running" || fail "$(cat "$(claim_of win11)")"
}

@test "a guest takes GPU, NIC, USB, pages, CPUs and monitor, keeps the host awake, and gives all back" {
	local bus
	win11
	guest_start win11
	win11_has_it_all
	# QEMU has the devices: it holds their groups open
	assert_contains "$(ls -l "/proc/$(guest_pid win11)/fd")" "/dev/vfio/"
	# The pool was grown by the need alone, and goes by itself: in use, beyond what is asked for
	assert_equal "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages)" 32
	bus=$(grep -l -x "lab monitor desk input 0x0f" /sys/bus/i2c/devices/i2c-*/name | grep -o 'i2c-[0-9]*')
	# The lines before tell of its search for a connector, which a bus of the lab's has none of
	run -0 ddcutil --bus "${bus#i2c-}" --brief getvcp 60
	assert_equal "${lines[-1]}" "VCP 60 SNC x11"
	guest_destroy win11
	host_unchanged 30
}

@test "an empty policy is a complete one, also for a start by UUID with a viewer waiting" {
	local uuid
	guest_define win11 device="$GPU" device="$AUDIO" memory=64 pages=2048 vcpus=2 pins="2 3"
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	assert_alone 2-3
	guest_destroy win11
	# Both name the guest on their command lines, and neither is its QEMU
	uuid=$(guest_uuid win11)
	sh -c 'while :; do sleep 1; done' virt-viewer --wait --uuid "$uuid" 3>&- &
	viewer=$!
	guest_start "$uuid"
	assert_equal "$(driver_of "$GPU")" vfio-pci
	kill -0 "$viewer"
	guest_destroy win11
	kill "$viewer"
	host_unchanged 30
}

@test "all comes back when the guest powers itself off" {
	win11 boot="$(boot_image)"
	guest_start win11
	win11_has_it_all
	guest_power_off win11
	host_unchanged 30
}

@test "all comes back when QEMU is killed" {
	win11
	guest_start win11
	win11_has_it_all
	kill -9 "$(guest_pid win11)"
	wait_for 60 guest_off win11
	host_unchanged 30
}

@test "all comes back when QEMU itself refuses to start" {
	local image=/var/lib/libvirt/images/not-a.qcow2
	echo "this is no qcow2" >"$image"
	win11 extra="<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$image'/><target dev='vdb' bus='virtio'/></disk>"
	run virsh start win11
	((status != 0)) || fail "it was started: $output"
	assert_contains "$output" qcow2
	# It went as far as the devices
	assert_contains "$(journalctl -t usher --since=-5min --no-pager)" "win11: vfio apply: done"
	host_unchanged 30
}

# look_when_stopped GUEST - a hook of the lab's own, which libvirt runs after usher and before it gives
# back itself: the drivers that the devices have then, into /run/lab-look
look_when_stopped() {
	mkdir -p /etc/libvirt/hooks/qemu.d
	cat >/etc/libvirt/hooks/qemu.d/90-look <<-EOT
		#!/bin/sh
		[ "\$1 \$2 \$3" = "$1 stopped end" ] || exit 0
		for address in $GPU $AUDIO $NIC; do
			readlink "/sys/bus/pci/devices/\$address/driver"
		done >/run/lab-look
	EOT
	chmod +x /etc/libvirt/hooks/qemu.d/90-look
}

@test "devices that libvirt manages are bound before it looks, and given back after it" {
	guest_define win11 managed=yes device="$GPU" device="$AUDIO" device="$NIC" memory=32
	policy win11
	look_when_stopped win11
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	guest_destroy win11
	assert_equal "$(sed 's|.*/||' /run/lab-look | xargs)" "vfio-pci vfio-pci vfio-pci"
	host_unchanged 30
}

@test "a guest lives on, with all it has, when libvirtd is restarted" {
	local pid
	win11
	guest_start win11
	win11_has_it_all
	pid=$(guest_pid win11)
	systemctl restart libvirtd
	wait_for 60 guest_running win11
	assert_equal "$(guest_pid win11)" "$pid"
	win11_has_it_all
	guest_destroy win11
	host_unchanged 30
}

@test "a guest is saved and restored, and gives back what it has each time" {
	guest_define win11 memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1
	policy win11
	guest_start win11
	assert_alone 2-3
	virsh managedsave win11
	wait_for 30 not inhibited_for win11
	assert_equal "$(pool_size 2048)" 0
	guest_start win11
	guest_running win11
	assert_alone 2-3
	assert_equal "$(pool_size 2048)" 32
	inhibited_for win11
	guest_destroy win11
	host_unchanged 30
}

@test "a second guest that wants the same GPU is refused with the first one's name" {
	local pid
	win11
	guest_start win11
	pid=$(guest_pid win11)
	guest_define games device="$GPU" device="$AUDIO"
	policy games
	start_refused games "usher: games: PCI device $GPU is held by guest win11: shut that guest down first, or take it out of this guest's XML"
	# Without a policy too
	rm "$policies/games.ini"
	start_refused games "usher: games: PCI device $GPU belongs to guest win11 alone while it runs: shut that guest down first, or take it out of this guest's XML"
	assert_equal "$(guest_pid win11)" "$pid"
	win11_has_it_all
	guest_destroy win11
	host_unchanged 30
}

# still_handed CLAIM - win11 has not come up yet, and has what it will come up with
still_handed() {
	grep -qx "state = handed" "$1" || fail "$(cat "$1")" || return
	assert_equal "$(driver_of "$GPU")" vfio-pci
	(($(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages) >= 32)) ||
		fail "no pages for it: $(grep -H '' /sys/kernel/mm/hugepages/hugepages-2048kB/*)"
}

# The start lasts until the file goes, or it would be over before the rest has happened. libvirt
# answers no question about the guest meanwhile: its claim is looked up before.
# slow_start GUEST - begin to start it; its `start` lasts until /run/lab-slow-start is gone
slow_start() {
	mkdir -p /etc/libvirt/hooks/qemu.d
	cat >/etc/libvirt/hooks/qemu.d/50-slow-start <<-EOT
		#!/bin/sh
		[ "\$1 \$2" = "$1 start" ] || exit 0
		for second in \$(seq 120); do
			[ -e /run/lab-slow-start ] || exit 0
			sleep 1
		done
	EOT
	chmod +x /etc/libvirt/hooks/qemu.d/50-slow-start
	: >/run/lab-slow-start
	claim=$(claim_of "$1")
	virsh start "$1" >"$BATS_TEST_TMPDIR/start" 2>&1 3>&- &
	starting=$!
	wait_for 60 grep -qx "state = handed" "$claim"
	still_handed "$claim"
}

@test "nothing is taken from a guest whose start takes long, whatever happens meanwhile" {
	local claim starting
	win11
	guest_define other memory=32 pages=2048
	policy other
	slow_start win11
	guest_start other
	still_handed "$claim"
	# By hand, and as with each start of the daemon
	usher recover
	still_handed "$claim"
	systemctl start usher-recover
	still_handed "$claim"
	rm /run/lab-slow-start
	wait "$starting" || fail "$(cat "$BATS_TEST_TMPDIR/start")"
	systemctl restart libvirtd
	wait_for 60 guest_running win11
	guest_destroy other
	win11_has_it_all
	guest_destroy win11
	host_unchanged 30
}

# The daemon waits for its hook, goes on with the start and ends; the next one finds a QEMU whose
# monitor does not answer yet, and gives the guest up. Seen on: libvirt 11.3
@test "a daemon that is restarted in the middle of a start takes nothing, and what it gives up comes back" {
	local claim starting restarting _
	win11
	slow_start win11
	systemctl restart libvirtd 3>&- &
	restarting=$!
	for _ in 1 2 3 4 5; do
		sleep 1
		still_handed "$claim"
	done
	rm /run/lab-slow-start
	wait "$restarting"
	wait "$starting" || true
	wait_for 60 virsh list
	guest_destroy win11
	host_unchanged 60
}

@test "a guest may be named like an option, a path, or in any script" {
	local name
	# libvirt itself takes no '..' and no '/'
	local starts=() names=(--help -x ..x 'two words' "quote's" 'Größe')
	for name in "${names[@]}"; do
		guest_define "$name" memory=32 pages=2048
		policy "$name"
	done
	for name in "${names[@]}"; do
		guest_start "$name" 3>&- &
		starts+=($!)
	done
	wait "${starts[@]}"
	for name in "${names[@]}"; do
		guest_running "$name"
		[[ -e $(claim_of "$name") ]] || fail "no claim: $name"
	done
	assert_equal "$(pool_size 2048)" $((${#names[@]} * 16))
	for name in "${names[@]}"; do
		guest_destroy "$name"
		virsh undefine --domain "$name"
	done
	# Its AppArmor profile cannot be loaded for these: a start that fails after prepare
	for name in '*' 'a "b"'; do
		guest_define "$name" memory=32 pages=2048
		policy "$name"
		run virsh start --domain "$name"
		((status != 0)) || guest_destroy "$name"
		wait_for 10 test ! -e "$(claim_of "$name")"
		virsh undefine --domain "$name"
	done
	host_unchanged 30
}
