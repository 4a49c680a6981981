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
	[[ -z ${sound-} ]] || kill "$sound" 2>/dev/null || true
	[[ -z ${holder-} ]] || kill "$holder" 2>/dev/null || true
	common_teardown
	rm -f /run/udev/rules.d/72-usher-*.rules
	systemctl stop lab-dm.service xdm.service 2>/dev/null || true
	[[ -z ${alone-} ]] || others_on
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
	assert_contains "$output" "open: set in_use = stop-seat in [vfio] of the policy, which ends that desktop, or end it yourself first"
	policy win11 '[vfio]' 'in_use = stop-seat'
	guest_start win11
	assert_equal "$(driver_of "$GPU")" vfio-pci
	guest_destroy win11
	wait_for 30 dm_holds_a_card
	host_unchanged 30
}

# --- The host's GPU, and no other ---------------------------------------------------------------

# others_off - without a frame buffer beside it the text console has nowhere to go
others_off() {
	alone=yes
	echo "$GPU" >/sys/bus/pci/drivers/bochs-drm/unbind
	echo "$GPU2" >/sys/bus/pci/drivers/bochs-drm/unbind
	host_before
}

# In this order, or their cards have other numbers than at boot
others_on() {
	echo "$GPU" >/sys/bus/pci/drivers_probe
	echo "$GPU2" >/sys/bus/pci/drivers_probe
	udevadm settle
	alone=''
}

# seat_claim UUID - a claim that nobody keeps alive, of the guest win11
seat_claim() {
	install -d -m 0700 /run/usher "/run/usher/$1"
	usher plan --xml "$BATS_TEST_TMPDIR/win11.xml" | grep -v '^#' >"$BATS_TEST_TMPDIR/claim"
	install -m 0600 "$BATS_TEST_TMPDIR/claim" "/run/usher/$1/claim.ini"
}

# killed_at DIR SYSCALL WHEN [PATH] - usher-seat is killed when it makes that call for the n-th time, to
# that file, before the kernel has done it
killed_at() {
	local path=()
	[[ -z ${4-} ]] || path=(-P "$4")
	run strace -o /dev/null "${path[@]}" -e trace="$2" -e inject="$2:signal=KILL:when=$3" \
		usher-seat apply "$1/claim.ini"
	assert_equal "$status" 137
	# What it has left in the kernel returns
	wait_for 10 not pgrep -x usher-seat
}

steps_of() {
	cut -d ' ' -f 2 "$1/seat.journal" | xargs
}

@test "usher-seat is killed before, between and after its steps, and usher recover has the screen back" {
	local uuid dir
	others_off
	display_manager "$HOST_GPU"
	host_before
	guest_define win11 device="$HOST_GPU" memory=32
	policy win11
	virsh dumpxml win11 >"$BATS_TEST_TMPDIR/win11.xml"
	uuid=$(guest_uuid win11) dir=/run/usher/$(guest_uuid win11)
	assert_equal "$(console_bound)" 1

	# It has written down nothing yet
	seat_claim "$uuid"
	killed_at "$dir" write 1 "$dir/seat.journal"
	assert_equal "$(steps_of "$dir")" ""
	usher recover
	host_unchanged 30
	# The display manager is stopped, and the console not announced
	seat_claim "$uuid"
	killed_at "$dir" write 2 "$dir/seat.journal"
	assert_equal "$(steps_of "$dir")" unit
	assert_equal "$(systemctl is-active display-manager.service)" inactive
	assert_equal "$(console_bound)" 1
	usher recover
	wait_for 30 dm_holds_a_card
	host_unchanged 30
	# The process that writes to the console goes on without it
	seat_claim "$uuid"
	killed_at "$dir" wait4 1
	assert_equal "$(steps_of "$dir")" "unit vtcon"
	assert_equal "$(console_bound)" 0
	usher recover
	wait_for 30 dm_holds_a_card
	host_unchanged 30
	# It has done all, and nobody knows
	seat_claim "$uuid"
	killed_at "$dir" exit_group 1
	assert_equal "$(steps_of "$dir")" "unit vtcon"
	assert_equal "$(console_bound)" 0
	assert_contains "$(usher status win11)" "dead"
	usher recover
	wait_for 30 dm_holds_a_card
	assert_equal "$(console_bound)" 1
	host_unchanged 30
}

# --- The sound function beside a card -----------------------------------------------------------

sound_node() {
	local nodes=("/sys/bus/pci/devices/$1/sound/card"*/controlC*)
	[[ -e ${nodes[0]} ]] && echo "/dev/snd/${nodes[0]##*/}"
}

# of_a_user COMMAND... - beside the sound server, where a user's programs run: a service that has a card
# open is refused before anybody's desktop is ended
of_a_user() {
	echo "$BASHPID" >/sys/fs/cgroup/user.slice/lab-sound.scope/cgroup.procs
	exec "$@"
}

# sound_start - what sound servers do: have a card open until udev says that it goes, and again when
# it says that the card is ready. Nothing is played.
sound_start() {
	cat >"$BATS_TEST_TMPDIR/sound" <<-'EOT'
		declare -A held
		exec {events}< <(exec udevadm monitor --udev --subsystem-match=sound --property)
		take() {
			local node
			for node in "/sys$1"/controlC*; do
				[[ -e $node && -z ${held[$1]-} ]] || continue
				exec {held[$1]}<>"/dev/snd/${node##*/}"
			done
		}
		drop() {
			[[ -n ${held[$1]-} ]] || return
			exec {held[$1]}>&-
			unset "held[$1]"
		}
		for card in /sys/class/sound/card*; do
			card=$(readlink -f "$card")
			take "${card#/sys}"
		done
		while IFS= read -r -u "$events" line; do
			case $line in
			ACTION=*) action=${line#*=} ;;
			DEVPATH=*/card+([0-9]))
				case $action in
				remove) drop "${line#*=}" ;;
				change) take "${line#*=}" ;;
				esac
				;;
			esac
		done
	EOT
	systemd-run --quiet --scope --slice=user.slice --unit=lab-sound -- \
		bash -O extglob "$BATS_TEST_TMPDIR/sound" 3>&- &
	sound=$!
	wait_for 10 sound_has "$AUDIO"
	wait_for 10 sound_has "$AUDIO2"
}

sound_has() {
	local node
	node=$(sound_node "$1") && readlink "/proc/$sound/fd/"* | grep -q -x "$node"
}

@test "a sound server leaves the function beside the desktop's card, and who does not is named" {
	local node desktop_pid
	display_manager "$GPU"
	sound_start
	host_before
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'in_use = stop-seat'
	guest_start win11
	assert_equal "$(driver_of "$AUDIO")" vfio-pci
	sound_has "$AUDIO2"
	guest_destroy win11
	wait_for 30 sound_has "$AUDIO"
	wait_for 30 dm_holds_a_card
	host_unchanged 30
	# Deaf to all of udev's words
	node=$(sound_node "$AUDIO")
	desktop_pid=$(systemctl show -P MainPID lab-dm.service)
	# shellcheck disable=SC2016 # perl's own
	of_a_user perl -e 'open(F, "+<", $ARGV[0]) or die; sleep 300' "$node" 3>&- &
	holder=$!
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: $AUDIO ("
	assert_contains "$output" "is in use by perl (pid $holder), which has $node open: have its sound settings leave that card alone (profile Off), or stop it first"
	# It had been taken from the server, and the desktop had been ended
	wait_for 30 sound_has "$AUDIO"
	wait_for 30 dm_holds_a_card
	[[ $(systemctl show -P MainPID lab-dm.service) != "$desktop_pid" ]] || fail "the desktop was not ended"
	host_unchanged 30
	kill "$holder"
	wait "$holder" || true
	guest_start win11
	guest_destroy win11
	wait_for 30 sound_has "$AUDIO"
	host_unchanged 30
}

# --- A desktop that takes every card --------------------------------------------------------------

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

# --- A real X server and its display manager ------------------------------------------------------

x_start() {
	[[ -x /usr/bin/xdm ]] || fail "the image has no xdm"
	ln -sf /usr/lib/systemd/system/xdm.service "$units/display-manager.service"
	systemctl daemon-reload
	systemctl start display-manager.service
	wait_for 60 x_shows || fail "$(tail -n 40 /var/log/Xorg.0.log)"
	systemctl is-active display-manager.service
}

x_has() {
	local pid
	pid=$(pgrep -x Xorg) && readlink "/proc/$pid/fd/"* | grep -q -x "/dev/dri/$(card_of "$1")"
}

# x_shows - it has the host's GPU, and a picture goes to the monitor
x_shows() {
	local card
	card=$(card_of "$HOST_GPU")
	x_has "$HOST_GPU" && grep -q -x enabled "/sys/class/drm/$card-"*/enabled
}

# offered - udev offers the GPU to the desktop's seat
offered() {
	udevadm info "/dev/dri/$(card_of "$GPU")" | grep -q '^E: CURRENT_TAGS=.*:master-of-seat:'
}

x_gone() {
	not pgrep -x Xorg
}

@test "give_back = render: two guests come and go beside an X server that runs throughout" {
	local cycle server
	x_start
	wait_for 60 x_has "$GPU"
	wait_for 60 x_has "$GPU2"
	server=$(pgrep -x Xorg)
	host_before
	guest_define win11 device="$GPU" device="$AUDIO" memory=32
	policy win11 '[vfio]' 'in_use = stop-seat' 'give_back = render'
	for cycle in 1 2; do
		guest_start win11
		assert_equal "$(driver_of "$GPU")" vfio-pci
		x_shows
		guest_destroy win11
		wait_for 30 returned
		udevadm settle
		# Long enough for a server that would take it
		sleep 5
		not x_has "$GPU" || fail "the X server has taken the card after guest $cycle"
		x_has "$GPU2" || fail "the X server lost a card of its own"
		assert_equal "$(pgrep -x Xorg)" "$server"
	done
	# Back to the desktop, by a policy that wants it so
	policy win11
	guest_start win11
	guest_destroy win11
	wait_for 60 offered
	assert_equal "$(pgrep -x Xorg)" "$server"
	x_shows
	x_has "$GPU2"
	# It takes no card again that it has dropped, whoever asked it to: Seen on: Xorg 21.1.16
	systemctl restart display-manager.service
	wait_for 60 x_has "$GPU"
	host_unchanged 30
}

@test "a real display manager ends for the guest, and its screen and the console come back, also late" {
	local image=/var/lib/libvirt/images/not-a.qcow2 server
	echo "this is no qcow2" >"$image"
	others_off
	x_start
	host_before
	assert_equal "$(console_bound)" 1
	server=$(pgrep -x Xorg)
	guest_define win11 device="$HOST_GPU" memory=32
	policy win11
	guest_start win11
	assert_equal "$(driver_of "$HOST_GPU")" vfio-pci
	assert_equal "$(systemctl is-active display-manager.service)" inactive
	x_gone
	[[ $(console_bound) != *1* ]] || fail "a text console is bound, and the host has no screen"
	guest_destroy win11
	wait_for 60 x_shows
	assert_equal "$(console_bound)" 1
	[[ $(pgrep -x Xorg) != "$server" ]] || fail "the server was not ended"
	host_unchanged 30
	server=$(pgrep -x Xorg)
	guest_define win11 device="$HOST_GPU" memory=32 uuid="$(guest_uuid win11)" \
		extra="<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$image'/><target dev='vdb' bus='virtio'/></disk>"
	run virsh start win11
	((status != 0)) || fail "it was started: $output"
	assert_contains "$output" qcow2
	wait_for 60 x_shows
	[[ $(pgrep -x Xorg) != "$server" ]] || fail "the server was not ended"
	assert_equal "$(console_bound)" 1
	host_unchanged 30
}
