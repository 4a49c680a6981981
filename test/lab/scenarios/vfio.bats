#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/vfio.bats - which devices change drivers, who may have them open, where they go

load ../guest/lib

setup() {
	nvidia=/sys/module/nvidia/parameters
	# Below udevd's own, whose processes it ends when it has nothing to do
	udevs_group=/sys/fs/cgroup/system.slice/systemd-udevd.service/lab
	common_setup
}

teardown() {
	[[ -z ${holder-} ]] || kill "$holder" 2>/dev/null || true
	[[ ! -d $udevs_group ]] || wait_for 10 rmdir "$udevs_group"
	[[ -z ${keeper-} ]] || keeper_stop
	[[ ! -e $nvidia/lab_users ]] || echo 0 >"$nvidia/lab_users"
	common_teardown
	[[ ! -e $nvidia ]] || nvidia_out
	rm -f /run/udev/rules.d/72-usher-*.rules /etc/libvirt/hooks/qemu.d/90-look /run/lab-look
}

card_of() {
	local cards=("/sys/bus/pci/devices/$1/drm/card"*)
	[[ -e ${cards[0]} ]] && echo "${cards[0]##*/}"
}

sound_node() {
	local nodes=("/sys/bus/pci/devices/$1/sound/card"*/controlC*)
	[[ -e ${nodes[0]} ]] && echo "/dev/snd/${nodes[0]##*/}"
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
	hold "$(sound_node "$AUDIO")"
	refused_with "$AUDIO ("
	refused_with "is in use by perl (pid $holder), which has /dev/snd/controlC"
	let_go
	host_unchanged
}

# of_udevs FILE COMMAND... - as what udev runs for a device that has just come: with the file open
of_udevs() {
	local file=$1
	shift
	mkdir -p "$udevs_group"
	run_of_udevs "$file" "$@" 3>&- &
	holder=$!
	wait_for 10 held_by "$holder" "$file"
}

run_of_udevs() {
	local file=$1
	shift
	echo "$BASHPID" >"$udevs_group/cgroup.procs"
	exec "$@" 9<>"$file"
}

@test "what udev runs for a device that has come back is waited for, and named where it does not go" {
	local node start
	node=$(sound_node "$AUDIO")
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'timeout = 9s'
	# For a second from when usher looks
	of_udevs "$node" sh -c 'until pgrep -x usher-vfio >/dev/null; do sleep 0.05; done; sleep 1'
	guest_start win11
	assert_equal "$(driver_of "$AUDIO")" vfio-pci
	wait "$holder"
	holder=''
	guest_destroy win11
	wait_for 20 driver_is "$AUDIO" snd_hda_intel
	udevadm settle
	node=$(sound_node "$AUDIO")
	of_udevs "$node" sleep 300
	start=$SECONDS
	refused_with "is in use by sleep (pid $holder), which has $node open: wait until udev is done with it (udevadm settle), or stop it first"
	((SECONDS - start < 9)) || fail "refused after $((SECONDS - start)) s"
	let_go
	rmdir "$udevs_group"
	host_unchanged 30
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
	local card properties seat
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
	seat=$(loginctl seat-status seat0 --no-pager -l)
	# It shows the cards that it has
	assert_contains "$seat" "drm:$(card_of "$GPU2")"
	[[ $seat != *"drm:$card"* ]] || fail "logind still offers $card: $seat"
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

# look_after_prepare GUEST - a hook of the lab's own, which libvirt runs after usher and before it looks
# itself: the nodes of VFIO that are there then, into /run/lab-look
look_after_prepare() {
	mkdir -p /etc/libvirt/hooks/qemu.d
	cat >/etc/libvirt/hooks/qemu.d/90-look <<-EOT
		#!/bin/sh
		[ "\$1 \$2" = "$1 prepare" ] || exit 0
		echo " " /dev/vfio/* /dev/vfio/devices/* " " >/run/lab-look
	EOT
	chmod +x /etc/libvirt/hooks/qemu.d/90-look
}

@test "the nodes of a guest's devices are there as soon as it is prepared, when libvirt looks" {
	local address group nodes device
	guest_define win11 device="$GPU" device="$AUDIO" device="$NIC" memory=32
	policy win11
	look_after_prepare win11
	guest_start win11
	nodes=$(</run/lab-look)
	assert_contains "$nodes" " /dev/vfio/vfio "
	for address in "$GPU" "$AUDIO" "$NIC"; do
		group=$(readlink "/sys/bus/pci/devices/$address/iommu_group")
		assert_contains "$nodes" " /dev/vfio/${group##*/} "
		# Of a kernel that has nodes for iommufd, too
		for device in "/sys/bus/pci/devices/$address/vfio-dev/"*/dev; do
			device=${device%/dev}
			[[ ! -e $device/dev ]] || assert_contains "$nodes" " /dev/vfio/devices/${device##*/} "
		done
	done
	guest_destroy win11
	host_unchanged 30
}

# --- A stand-in for NVIDIA's modules ------------------------------------------------------------

nvidia_modules=(nvidia nvidia_modeset nvidia_uvm nvidia_drm)

# nvidia_in ADDRESS... - these have it for their driver, until nvidia_out
nvidia_in() {
	local module address
	cards=("$@")
	: >/etc/modprobe.d/lab-nvidia.conf
	for module in "${nvidia_modules[@]}"; do
		echo "install $module /sbin/insmod /lab/build/modules/nvidia/$module.ko" >>/etc/modprobe.d/lab-nvidia.conf
		insmod "/lab/build/modules/nvidia/$module.ko"
	done
	for address in "$@"; do
		echo nvidia >"/sys/bus/pci/devices/$address/driver_override"
		[[ ! -e /sys/bus/pci/devices/$address/driver ]] ||
			echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind"
		echo "$address" >/sys/bus/pci/drivers_probe
		assert_equal "$(driver_of "$address")" nvidia
	done
}

nvidia_out() {
	local address
	rm -f /etc/modprobe.d/lab-nvidia.conf
	rmmod nvidia_drm nvidia_modeset nvidia_uvm nvidia
	for address in "${cards[@]}"; do
		echo >"/sys/bus/pci/devices/$address/driver_override"
		echo "$address" >/sys/bus/pci/drivers_probe
	done
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
	assert_equal "$(<"$nvidia/lab_unbinds")" 0
	assert_equal "$(cat "/sys/bus/pci/devices/$NIC/driver_override")" nvidia
	# In use: refused by name, nothing hangs, nothing has changed
	hold /dev/nvidia0
	refused_with "is in use by perl (pid $holder), which has /dev/nvidia0 open: stop it first"
	policy win11 '[vfio]' 'in_use = force' 'timeout = 8s'
	refused_with "$NIC cannot be taken from its driver: module nvidia is in use: end what uses the card (lsmod | grep nvidia, fuser -v /dev/nvidia*)"
	assert_equal "$(driver_of "$NIC")" nvidia
	assert_equal "$(modules_loaded)" "nvidia nvidia_drm nvidia_modeset nvidia_uvm"
	assert_equal "$(<"$nvidia/lab_unbinds")" 0
	let_go
	nvidia_out
	host_unchanged 30
}

# node_of ADDRESS - of a card, as the driver says
node_of() {
	sed -n 's|^Device Minor:[ \t]*|/dev/nvidia|p' "/proc/driver/nvidia/gpus/$1/information"
}

# keeper_start - what stands in for nvidia-persistenced, under its name, with all cards open; and for
# nvidia-smi, which has it open or close one, and notes what it was asked
keeper_start() {
	local dir=$BATS_TEST_TMPDIR
	mkfifo "$dir/asked"
	cat >"$dir/nvidia-persistenced" <<-'EOT'
		#!/bin/bash
		declare -A held
		exec {asked}<>"$1"
		take() {
			local info=/proc/driver/nvidia/gpus/$1/information
			exec {held[$1]}<>"$(sed -n 's|^Device Minor:[ \t]*|/dev/nvidia|p' "$info")"
		}
		for card in /proc/driver/nvidia/gpus/*; do take "${card##*/}"; done
		while read -r -u "$asked" card mode; do
			case $mode in
			0) exec {held[$card]}>&- ;;
			1) take "$card" ;;
			esac
		done
	EOT
	cat >/usr/bin/nvidia-smi <<-EOT
		#!/bin/bash
		[[ \$1 == -i && \$3 == -pm ]] || exit 2
		echo "\$*" >>$dir/smi
		echo "\$2 \$4" >$dir/asked
	EOT
	chmod +x "$dir/nvidia-persistenced" /usr/bin/nvidia-smi
	"$dir/nvidia-persistenced" "$dir/asked" 3>&- &
	keeper=$!
	wait_for 10 held_by "$keeper" "$(node_of "$GPU")"
	wait_for 10 held_by "$keeper" "$(node_of "$GPU2")"
}

keeper_stop() {
	kill "$keeper"
	wait "$keeper" || true
	keeper=''
	rm -f /usr/bin/nvidia-smi
}

@test "of two nvidia cards one goes by itself, and the driver stays for the other" {
	local boot node other first=$BATS_TEST_TMPDIR/first
	boot="or have it on vfio-pci from boot on (driver_override, or vfio-pci.ids=1234:1111 on the kernel's command line)"
	nvidia_in "$GPU" "$GPU2"
	node=$(node_of "$GPU") other=$(node_of "$GPU2")
	[[ $node == /dev/nvidia? && $other == /dev/nvidia? && $node != "$other" ]] || fail "$node $other"
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11
	hold "$node"
	refused_with "is in use by perl (pid $holder), which has $node open: stop it first, $boot"
	# It would hang, whatever is forced
	policy win11 '[vfio]' 'in_use = force'
	refused_with "is in use by perl (pid $holder), which has $node open: stop it first, $boot"
	assert_equal "$(<"$nvidia/lab_unbinds")" 0
	let_go
	policy win11
	# Who computes on the other card is left alone
	hold "$other"
	keeper_start
	mv "$BATS_TEST_TMPDIR/before" "$first"
	host_before
	guest_start win11
	assert_equal "$(driver_of "$GPU") $(driver_of "$GPU2")" "vfio-pci nvidia"
	assert_equal "$(modules_loaded)" "nvidia nvidia_drm nvidia_modeset nvidia_uvm"
	assert_equal "$(<"$nvidia/lab_unbinds")" 1
	assert_equal "$(<"$BATS_TEST_TMPDIR/smi")" "-i $GPU -pm 0"
	held_by "$holder" "$other"
	held_by "$keeper" "$other"
	not held_by "$keeper" "$node"
	guest_destroy win11
	wait_for 30 driver_is "$GPU" nvidia
	wait_for 10 held_by "$keeper" "$node"
	assert_equal "$(<"$BATS_TEST_TMPDIR/smi")" "-i $GPU -pm 0
-i $GPU -pm 1"
	held_by "$holder" "$other"
	host_unchanged 30
	let_go
	keeper_stop
	nvidia_out
	mv "$first" "$BATS_TEST_TMPDIR/before"
	host_unchanged 30
}

stuck_by_nvidia() {
	[[ $(usher status --json | jq -r '.guests[].stuck[] | .address + " " + .driver') == "$GPU nvidia" ]]
}

@test "of two nvidia cards one that does not let go hangs nobody, and the other works on" {
	local other
	nvidia_in "$GPU" "$GPU2"
	other=$(node_of "$GPU2")
	hold "$other"
	host_before
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'timeout = 4s'
	# Nobody has it open, and yet it is in use
	echo 1 >"$nvidia/lab_users"
	refused_with "$GPU is stuck: driver nvidia has not let go of it for "
	wait_for 5 stuck_by_nvidia
	assert_equal "$(driver_of "$GPU2")" nvidia
	held_by "$holder" "$other"
	: <"$other"
	assert_contains "$(virsh list --all)" win11
	refused_with "driver nvidia has not let go of it for "
	echo 0 >"$nvidia/lab_users"
	wait_for 30 driver_is "$GPU" nvidia
	host_unchanged 30
	assert_equal "$(modules_loaded)" "nvidia nvidia_drm nvidia_modeset nvidia_uvm"
	# Once it lets go, all is as if nothing had been
	guest_start win11
	assert_equal "$(driver_of "$GPU") $(driver_of "$GPU2")" "vfio-pci nvidia"
	guest_destroy win11
	wait_for 30 driver_is "$GPU" nvidia
	host_unchanged 30
	let_go
	nvidia_out
}
