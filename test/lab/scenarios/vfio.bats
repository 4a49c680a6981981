#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/vfio.bats - which devices change drivers, who may have them open, where they go

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	[[ -z ${holder-} ]] || kill "$holder" 2>/dev/null || true
	common_teardown
	rm -f /run/udev/rules.d/72-usher-*.rules
}

card_of() {
	local cards=("/sys/bus/pci/devices/$1/drm/card"*)
	[[ -e ${cards[0]} ]] && echo "${cards[0]##*/}"
}

driver_is() {
	[[ $(driver_of "$1") == "$2" ]]
}

# hold FILE - a process that has it open, and does nothing else
hold() {
	perl -e 'open(F, "+<", $ARGV[0]) or die; sleep 300' "$1" 3>&- &
	holder=$!
	wait_for 5 held_by "$holder" "$1"
}

held_by() {
	readlink "/proc/$1/fd/"* | grep -q -x "$2"
}

let_go() {
	kill "$holder"
	wait "$holder" || true
	holder=''
}

refused_with() {
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: "
	assert_contains "$output" "$1"
}

@test "of two equal cards the one that is claimed goes, and the other works on" {
	local card
	card=$(card_of "$GPU2")
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11
	hold "/dev/dri/$card"
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	assert_equal "$(driver_of "$GPU2") $(driver_of "$AUDIO2")" "bochs-drm snd_hda_intel"
	held_by "$holder" "/dev/dri/$card"
	guest_destroy win11
	let_go
	host_unchanged 30
}

@test "a card is refused while a process has it open, and so is its sound function" {
	local card
	card=$(card_of "$GPU")
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11
	hold "/dev/dri/$card"
	refused_with "$GPU ("
	refused_with "is in use by perl (pid $holder), which has /dev/dri/$card open: stop it first"
	let_go
	hold "$(find /dev/snd -name 'controlC*' | while read -r node; do
		[[ $(readlink -f "/sys/class/sound/${node##*/}") == *"$AUDIO"* ]] && echo "$node"
	done)"
	refused_with "$AUDIO ("
	refused_with "is in use by perl (pid $holder), which has /dev/snd/controlC"
	let_go
	host_unchanged
}

@test "with force a card goes from under the process that has it open" {
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'in_use = force'
	hold "/dev/dri/$(card_of "$GPU")"
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	guest_destroy win11
	let_go
	wait_for 20 driver_is "$GPU" bochs-drm
	# The card has another number while somebody has the old one open: once more, for the first
	echo "$GPU" >/sys/bus/pci/drivers/bochs-drm/unbind
	echo "$GPU" >/sys/bus/pci/drivers_probe
	host_unchanged 30
}

@test "two devices in two slots of one group go together" {
	guest_define win11 device="$SHARED_NIC" device="$SHARED_AUDIO" memory=32
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$SHARED_NIC") $(driver_of "$SHARED_AUDIO")" "vfio-pci vfio-pci"
	guest_destroy win11
	host_unchanged 30
}

@test "give_back = vfio leaves devices where the next start wants them" {
	guest_define win11 device="$USB" memory=32
	policy win11 '[vfio]' 'give_back = vfio'
	guest_start win11
	guest_destroy win11
	assert_equal "$(driver_of "$USB")" vfio-pci
	guest_start win11
	guest_destroy win11
	assert_equal "$(driver_of "$USB")" vfio-pci
	echo >"/sys/bus/pci/devices/$USB/driver_override"
	echo "$USB" >/sys/bus/pci/drivers/vfio-pci/unbind
	echo "$USB" >/sys/bus/pci/drivers_probe
	host_unchanged 30
}

@test "give_back = render keeps the desktop off a card that comes back, and nobody else" {
	local card properties
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'give_back = render'
	guest_start win11
	guest_destroy win11
	wait_for 20 driver_is "$GPU" bochs-drm
	udevadm settle
	card=$(card_of "$GPU")
	properties=$(udevadm info "/dev/dri/$card")
	assert_contains "$properties" "E: ID_SEAT=seat-usher"
	assert_contains "$properties" "mutter-device-ignore"
	[[ $(grep '^E: CURRENT_TAGS=' <<<"$properties") != *:seat:* ]] || fail "$properties"
	[[ $(grep '^E: CURRENT_TAGS=' <<<"$properties") != *:master-of-seat:* ]] || fail "$properties"
	not loginctl seat-status seat0 --no-pager -l 2>/dev/null | grep -q "$card"
	# The card beside it is the desktop's as before
	properties=$(udevadm info "/dev/dri/$(card_of "$GPU2")")
	assert_contains "$(grep '^E: CURRENT_TAGS=' <<<"$properties")" ":seat:"
	# A policy that wants it no more gives it to the desktop again
	policy win11
	guest_start win11
	guest_destroy win11
	udevadm settle
	properties=$(udevadm info "/dev/dri/$(card_of "$GPU")")
	assert_contains "$(grep '^E: CURRENT_TAGS=' <<<"$properties")" ":seat:"
	host_unchanged 30
}

@test "a reset method that the device lacks is refused, one that it has is set and taken back" {
	local methods
	methods=$(<"/sys/bus/pci/devices/$NIC/reset_method")
	guest_define win11 device="$NIC" memory=32
	policy win11 '[vfio]' 'reset = device_specific'
	refused_with "no device of the guest can be reset by 'device_specific': cat /sys/bus/pci/devices/$NIC/reset_method for what it offers"
	policy win11 '[vfio]' "reset = ${methods##* }"
	guest_start win11
	assert_equal "$(<"/sys/bus/pci/devices/$NIC/reset_method")" "${methods##* }"
	guest_destroy win11
	host_unchanged 30
}

# --- A stand-in for NVIDIA's modules ------------------------------------------------------------

nvidia_modules=(nvidia nvidia_modeset nvidia_uvm nvidia_drm)

nvidia_in() {
	local module
	: >/etc/modprobe.d/lab-nvidia.conf
	for module in "${nvidia_modules[@]}"; do
		echo "install $module /sbin/insmod /lab/build/modules/nvidia/$module.ko" >>/etc/modprobe.d/lab-nvidia.conf
		insmod "/lab/build/modules/nvidia/$module.ko"
	done
	echo nvidia >"/sys/bus/pci/devices/$1/driver_override"
	[[ ! -e /sys/bus/pci/devices/$1/driver ]] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	assert_equal "$(driver_of "$1")" nvidia
}

nvidia_out() {
	rm -f /etc/modprobe.d/lab-nvidia.conf
	rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia
	echo >"/sys/bus/pci/devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
}

modules_loaded() {
	lsmod | awk '$1 ~ /^nvidia/ { printf "%s ", $1 }' | xargs -n1 | sort | xargs
}

@test "nvidia is unloaded, not unbound, and all of it comes back" {
	host_before
	nvidia_in "$NIC"
	guest_define win11 device="$NIC" memory=32
	policy win11
	guest_start win11
	assert_equal "$(modules_loaded)" ""
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	wait_for 30 driver_is "$NIC" nvidia
	assert_equal "$(modules_loaded)" "nvidia nvidia_drm nvidia_modeset nvidia_uvm"
	assert_equal "$(cat /sys/module/nvidia/parameters/lab_unbinds)" 0
	assert_equal "$(cat "/sys/bus/pci/devices/$NIC/driver_override")" nvidia
	# In use: refused by name, nothing hangs, nothing has changed
	hold /dev/nvidia0
	refused_with "is in use by perl (pid $holder), which has /dev/nvidia0 open: stop it first"
	policy win11 '[vfio]' 'in_use = force' 'timeout = 8s'
	refused_with "$NIC cannot be taken from its driver: module nvidia is in use: end what uses the card (lsmod | grep nvidia, fuser -v /dev/nvidia*)"
	assert_equal "$(driver_of "$NIC")" nvidia
	assert_equal "$(modules_loaded)" "nvidia nvidia_drm nvidia_modeset nvidia_uvm"
	assert_equal "$(cat /sys/module/nvidia/parameters/lab_unbinds)" 0
	let_go
	nvidia_out "$NIC"
	host_unchanged 30
}
