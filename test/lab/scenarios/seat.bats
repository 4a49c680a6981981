#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/seat.bats - the GPU the host shows itself on goes to a guest, and the screen comes back

load ../guest/lib

setup() {
	common_setup
	units=/run/systemd/system
}

teardown() {
	[[ -z ${desktop-} ]] || kill "$desktop" 2>/dev/null || true
	common_teardown
	rm -f /run/udev/rules.d/72-usher-*.rules
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

# desktop_start - what compositors do: open each card that udev offers to seat0, when it starts and
# when one comes, and close one that goes. Nothing is drawn.
desktop_start() {
	cat >"$BATS_TEST_TMPDIR/desktop" <<-'EOT'
		declare -A held
		exec {events}< <(exec udevadm monitor --udev --subsystem-match=drm --property)
		take() {
			local info
			info=$(udevadm info "$1") || return
			[[ $1 == /dev/dri/card* && -z ${held[$1]-} ]] || return
			grep -q '^E: CURRENT_TAGS=.*:seat:' <<<"$info" || return
			! grep '^E: ID_SEAT=' <<<"$info" | grep -v -q '=seat0$' || return
			exec {held[$1]}<>"$1"
		}
		drop() {
			[[ -n ${held[$1]-} ]] || return
			exec {held[$1]}>&-
			unset "held[$1]"
		}
		for card in /dev/dri/card*; do take "$card"; done
		while IFS= read -r -u "$events" line; do
			case $line in
			ACTION=*) action=${line#*=} ;;
			DEVNAME=*) [[ $action == remove ]] && drop "${line#*=}" || take "${line#*=}" ;;
			esac
		done
	EOT
	bash "$BATS_TEST_TMPDIR/desktop" 3>&- &
	desktop=$!
	wait_for 10 desktop_has "$HOST_GPU"
	wait_for 10 desktop_has "$GPU"
	wait_for 10 desktop_has "$GPU2"
}

desktop_has() {
	readlink "/proc/$desktop/fd/"* | grep -q -x "/dev/dri/$(card_of "$1")"
}

returned() {
	[[ $(driver_of "$GPU") == bochs-drm ]] && card_of "$GPU"
}

@test "give_back = render: two guests come and go beside a desktop that takes every card it is offered" {
	local cycle
	desktop_start
	host_before
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'in_use = stop-seat' 'give_back = render'
	for cycle in 1 2; do
		guest_start win11
		assert_equal "$(driver_of "$GPU")" vfio-pci
		guest_destroy win11
		wait_for 30 returned
		udevadm settle
		# Long enough for a desktop that would take it
		sleep 3
		not desktop_has "$GPU" || fail "the desktop has taken the card after guest $cycle"
		desktop_has "$HOST_GPU" && desktop_has "$GPU2" || fail "the desktop lost a card of its own"
	done
	# Back to the desktop, by a policy that wants it so
	policy win11
	guest_start win11
	guest_destroy win11
	wait_for 30 desktop_has "$GPU"
	host_unchanged 30
}
