#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/seat.bats - the GPU the host shows itself on goes to a guest, and the screen comes back

load ../guest/lib

setup() {
	common_setup
	units=/run/systemd/system
}

teardown() {
	common_teardown
	systemctl stop lab-dm.service 2>/dev/null || true
	rm -f "$units/lab-dm.service" "$units/display-manager.service"
	systemctl daemon-reload
}

card_of() {
	local cards=("/sys/bus/pci/devices/$1/drm/card"*)
	[[ -e ${cards[0]} ]] && echo "${cards[0]##*/}"
}

# display_manager ADDRESS - a service under the name that all of them have, that holds a card
display_manager() {
	cat >"$units/lab-dm.service" <<-EOT
		[Unit]
		Description=Stand-in for a display manager
		[Service]
		ExecStart=/usr/bin/perl -e 'open(F, "+<", glob("/sys/bus/pci/devices/$1/drm/card*") =~ m{(card[0-9]+)\$} ? "/dev/dri/\$1" : "") or die; sleep 86400'
	EOT
	ln -sf lab-dm.service "$units/display-manager.service"
	systemctl daemon-reload
	systemctl start display-manager.service
	wait_for 10 dm_holds_a_card
}

dm_holds_a_card() {
	local pid
	pid=$(systemctl show -P MainPID lab-dm.service)
	((pid > 0)) && readlink "/proc/$pid/fd/"* | grep -q '^/dev/dri/card'
}

console_bound() {
	grep -l -r "frame buffer" /sys/class/vtconsole/*/name | while read -r name; do
		cat "${name%/name}/bind"
	done
}

@test "the text console leaves the GPU it is on, and comes back" {
	guest_define win11 device="$HOST_GPU" memory=32
	policy win11
	assert_equal "$(console_bound)" 1
	guest_start win11
	assert_equal "$(driver_of "$HOST_GPU")" vfio-pci
	guest_destroy win11
	host_unchanged 30
	assert_equal "$(console_bound)" 1
}

@test "the display manager ends for the guest, and starts again when it is gone" {
	display_manager "$HOST_GPU"
	host_before
	guest_define win11 device="$HOST_GPU" memory=32
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$HOST_GPU")" vfio-pci
	assert_equal "$(systemctl is-active display-manager.service)" inactive
	guest_destroy win11
	wait_for 30 dm_holds_a_card
	host_unchanged 30
}

@test "the desktop is back after a start that fails late" {
	local image=/var/lib/libvirt/images/not-a.qcow2
	echo "this is no qcow2" >"$image"
	display_manager "$HOST_GPU"
	host_before
	guest_define win11 device="$HOST_GPU" memory=32 \
		extra="<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$image'/><target dev='vdb' bus='virtio'/></disk>"
	policy win11
	run virsh start win11
	((status != 0)) || fail "it was started: $output"
	assert_contains "$output" qcow2
	assert_contains "$(journalctl -t usher --since=-2min --no-pager)" "win11: seat apply: done"
	wait_for 30 dm_holds_a_card
	host_unchanged 30
}

@test "stop-seat ends a desktop on a card beside the host's own, and only then" {
	display_manager "$GPU"
	host_before
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11
	run virsh start win11
	((status != 0)) || fail "it was started: $output"
	assert_contains "$output" "is in use by perl (pid "
	policy win11 '[vfio]' 'in_use = stop-seat'
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	guest_destroy win11
	wait_for 30 dm_holds_a_card
	host_unchanged 30
}
