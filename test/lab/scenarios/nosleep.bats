#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/nosleep.bats - the host does not sleep under a running guest, and only then
#
# A suspend here goes as far as freezing all processes, for a second: the kernel's pm_test. Root may
# pass over inhibitors before systemd 257, so it is a user who tries, whom polkit lets suspend.

load ../guest/lib

readonly rules=/etc/polkit-1/rules.d/50-lab.rules
readonly idle=/run/systemd/logind.conf.d/50-lab.conf

setup_file() {
	modprobe -a uinput evdev
	echo 1 >/sys/module/suspend/parameters/pm_test_delay
	cat >"$rules" <<-'EOT'
		polkit.addRule(function(action, subject) {
			if (subject.user == "nobody" && (action.id == "org.freedesktop.login1.suspend" ||
			    action.id == "org.freedesktop.login1.suspend-multiple-sessions"))
				return polkit.Result.YES;
		});
	EOT
	systemctl restart polkit
}

teardown_file() {
	rm -f "$rules"
	systemctl restart polkit
	echo 5 >/sys/module/suspend/parameters/pm_test_delay
}

setup() {
	since=$(date '+%F %T')
	echo freezer >/sys/power/pm_test
	common_setup
}

teardown() {
	echo none >/sys/power/pm_test
	lid_open
	logind_back
	if [[ -e $idle ]]; then
		rm "$idle"
		systemctl restart systemd-logind
	fi
	common_teardown
}

# dbus would start one that is only stopped
logind_away() {
	systemctl mask --quiet --runtime systemd-logind
	systemctl stop systemd-logind
}

logind_back() {
	[[ $(systemctl is-enabled systemd-logind) == masked-runtime ]] || return 0
	systemctl unmask --quiet --runtime systemd-logind
	systemctl start systemd-logind
}

log() {
	journalctl -t usher --since "$since" --no-pager -o cat
}

log_has() {
	log | grep -q -- "$1"
}

inhibitors() {
	systemd-inhibit --list --no-legend --no-pager | grep -c ' usher-nosleep ' || true
}

# held_for GUEST [WHAT] - what logind is asked not to do
held_for() {
	set -- "$1" "${2:-sleep:handle-lid-switch}"
	[[ $(systemd-inhibit --list --no-legend --no-pager |
		grep -c "usher .* usher-nosleep *$2 *guest $1 is running *block") == 1 ]]
}

inhibitors_are() {
	[[ $(inhibitors) == "$1" ]]
}

nobody_holds() {
	inhibitors_are 0
}

user_suspends() {
	runuser -u nobody -- systemctl --check-inhibitors=yes suspend
}

root_suspends() {
	systemctl --check-inhibitors=yes suspend
}

# Where systemctl is not to look, it is logind that refuses; root, too, since systemd 257
root_insists() {
	systemctl --check-inhibitors=no suspend
}

blocks_root() {
	(($(systemctl --version | awk 'NR == 1 { print $2 }') >= 257))
}

suspends_so_far() {
	journalctl -k --since "$since" --no-pager -o cat | grep -c 'PM: suspend entry' || true
}

has_slept() {
	(($(suspends_so_far) > $1))
}

# refused GUEST [COMMAND WHY]
refused() {
	local output before
	before=$(suspends_so_far)
	output=$("${2:-user_suspends}" 2>&1) && fail "the host went to sleep under guest $1"
	assert_contains "$output" "${3:-guest $1 is running}" || return
	sleep 1
	assert_equal "$(suspends_so_far)" "$before"
}

# logind has done with it: another attempt would be refused for that alone
is_awake() {
	[[ $(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
		org.freedesktop.login1.Manager PreparingForSleep) == 'b false' ]] &&
		systemctl --quiet is-active multi-user.target
}

# The host may sleep again, and does
sleeps() {
	local before
	wait_for 20 nobody_holds
	before=$(suspends_so_far)
	user_suspends
	wait_for 20 has_slept "$before"
	wait_for 20 is_awake
}

allowed() {
	sleeps
	host_unchanged
}

# nosleep apply|undo|check GUEST - by hand
nosleep() {
	usher-nosleep "$1" "/run/usher/$(guest_uuid "$2")/claim.ini"
}

holder_of() {
	systemctl show -P MainPID "usher-nosleep-$(guest_uuid "$1")"
}

# held_again GUEST WHAT PID - by another process
held_again() {
	[[ $(holder_of "$1") != "$3" ]] && held_for "$1" "$2"
}

# Starts are slow: three guests run at once, and each way to end is that of the only one awake
@test "the host does not sleep under guests, and may when the last has ended: destroyed, killed, by itself" {
	local starts holder
	guest_define one
	guest_define two
	guest_define three "boot=$(boot_image)"
	policy one
	policy two '[nosleep]' 'inhibit = sleep idle'
	policy three
	virsh start one 3>&- &
	starts=$!
	virsh start two 3>&- &
	starts+=" $!"
	virsh start three
	# shellcheck disable=SC2086 # two of them; there are others that bats waits for
	wait $starts
	held_for one
	held_for two sleep:idle
	held_for three
	assert_equal "$(inhibitors)" 3
	nosleep undo two
	nosleep undo three
	wait_for 10 inhibitors_are 1
	refused one
	if blocks_root; then
		refused one root_suspends
		refused one root_insists 'Call to Suspend failed'
	fi
	guest_destroy one
	sleeps
	nosleep apply two
	holder=$(holder_of two)
	kill -9 "$holder"
	wait_for 20 held_again two sleep:idle "$holder"
	refused two
	kill -9 "$(guest_pid two)"
	sleeps
	nosleep apply three
	refused three
	guest_power_off three
	allowed
}

@test "the host may sleep again when a guest has ended whose libvirtd had been killed" {
	guest_define awake
	policy awake
	guest_start awake
	systemctl kill -s KILL libvirtd
	held_for awake
	refused awake
	kill -9 "$(guest_pid awake)"
	wait_for 20 nobody_holds
	systemctl restart libvirtd
	wait_for 20 guest_off awake
	allowed
}

# An idle host suspends by itself: no session here ever has something to do
idle_suspends() {
	mkdir -p "$(dirname "$idle")"
	printf '%s\n' '[Login]' 'IdleAction=suspend' 'IdleActionSec=2s' >"$idle"
}

idle_was_refused() {
	journalctl -u systemd-logind --since "$since" --no-pager -o cat |
		grep -q 'Refusing .*inhibited by .*/usher-nosleep'
}

# An older logind says nothing of it. Seen on: systemd 252, 257
idle_came_to_nothing() {
	local version
	version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
	if ((version >= 257)); then
		wait_for 20 idle_was_refused || return
	else
		sleep 15
	fi
	assert_equal "$(suspends_so_far)" 0
}

@test "a guest keeps an idle host awake by one process, whatever is restarted" {
	local pid
	guest_define one
	policy one
	guest_start one
	assert_equal "$(inhibitors)" 1
	pid=$(holder_of one)
	systemctl restart libvirtd
	idle_suspends
	systemctl restart systemd-logind
	wait_for 5 held_for one
	idle_came_to_nothing
	systemctl kill -s KILL systemd-logind
	wait_for 10 held_for one
	# logind hears nobody until it is restarted; the lock is in its hands all the time
	systemctl restart dbus
	systemctl restart systemd-logind
	wait_for 10 held_for one
	assert_equal "$(holder_of one)" "$pid"
	# It has lost its bus, and would wait for it half a minute
	systemctl restart libvirtd
	wait_for 20 guest_running one
	assert_equal "$(suspends_so_far)" 0
	guest_destroy one
	wait_for 30 has_slept 0
	rm "$idle"
	systemctl restart systemd-logind
	wait_for 10 nobody_holds
	host_unchanged
}

# lid_close - a laptop's: an input device that says so until it is gone. ABI: uinput's first interface,
# struct uinput_user_dev and struct input_event; EV_SW SW_LID is 5 0
lid_close() {
	perl -e '
		my ($set_ev, $set_sw, $create) = (0x40045564, 0x4004556d, 0x5501);
		open(my $dev, "+<", "/dev/uinput") or die "uinput: $!";
		$dev->autoflush(1);
		ioctl($dev, $set_ev, 5) && ioctl($dev, $set_sw, 0) or die "uinput: $!";
		syswrite($dev, pack("a80 S4 L l256", "Lab lid", 6, 0, 0, 0, 0, (0) x 256)) or die "uinput: $!";
		ioctl($dev, $create, 0) or die "uinput: $!";
		sleep 3;
		syswrite($dev, pack("q q S S l q q S S l", 0, 0, 5, 0, 1, 0, 0, 0, 0, 0)) or die "uinput: $!";
		sleep 600;' 3>&- &
	lid=$!
}

lid_open() {
	[[ -z ${lid-} ]] || kill "$lid" 2>/dev/null || true
	wait "$lid" 2>/dev/null || true
	lid=''
}

logind_says() {
	journalctl -u systemd-logind --since "$since" --no-pager -o cat | grep -q "$1"
}

@test "a closed lid does not suspend the host under a guest; nor is it shut down if the policy says so" {
	local before
	guest_define one
	guest_define two
	policy one
	policy two '[nosleep]' 'inhibit = shutdown'
	guest_start one
	guest_start two
	held_for one
	held_for two shutdown
	lid_close
	wait_for 30 logind_says 'Lid closed'
	sleep 3
	assert_equal "$(suspends_so_far)" 0
	lid_open
	run -1 runuser -u nobody -- systemctl --check-inhibitors=yes poweroff
	assert_contains "$output" "guest two is running"
	guest_destroy one
	guest_destroy two
	wait_for 20 nobody_holds
	before=$(suspends_so_far)
	lid_close
	wait_for 30 has_slept "$before"
	lid_open
	wait_for 20 systemctl --quiet is-active multi-user.target
	host_unchanged
}

# pm_test stops short of real sleep, and the clocks know: for how long a host slept, and what check
# says of it, is the unit tests' to show
@test "sleep that comes all the same is logged, and that it was none after all" {
	guest_define drowsy
	policy drowsy '[nosleep]' 'mode = delay'
	guest_start drowsy
	user_suspends
	wait_for 20 log_has 'drowsy: the host goes to sleep under the running guest'
	wait_for 20 log_has 'drowsy: the host did not go to sleep after all'
	run -0 nosleep check drowsy
	[[ $output != *slept* ]]
	guest_destroy drowsy
	host_unchanged
}

@test "without logind the guest starts all the same, with a warning that names the cure" {
	guest_define restless
	policy restless '[nosleep]'
	logind_away
	guest_start restless
	wait_for 20 log_has 'restless: cannot keep the host awake: .*systemd-logind'
	run -1 nosleep check restless
	assert_contains "$output" 'systemd-logind'
	assert_equal "$(systemctl is-active "usher-nosleep-$(guest_uuid restless)")" inactive
	logind_back
	assert_equal "$(inhibitors)" 0
	guest_destroy restless
	host_unchanged
}
