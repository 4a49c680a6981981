#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/shutdown.bats - the host goes down under a running guest
#
# All that systemd does until nothing is left to be stopped, and nothing after that: the machine has
# to tell what it was like. It is of no use for another scenario then.
#
# lab: down

load ../guest/lib

setup() {
	units=/run/systemd/system
}

# The unit by which the tests run stays, and what it takes to hear of them
survive() {
	mkdir -p "$units/lab.service.d"
	printf '[Unit]\nDefaultDependencies=no\n' >"$units/lab.service.d/survive.conf"
	cat >"$units/lab-down.target" <<-EOT
		[Unit]
		DefaultDependencies=no
		Requires=shutdown.target
		After=shutdown.target
	EOT
}

display_manager() {
	cat >"$units/lab-dm.service" <<-EOT
		[Unit]
		Description=Stand-in for a display manager
		[Service]
		ExecStart=/usr/bin/perl -e 'open(F, "+<", glob("/sys/bus/pci/devices/$1/drm/card*") =~ m{(card[0-9]+)\$} ? "/dev/dri/\$1" : "") or die; sleep 86400'
	EOT
	ln -sf lab-dm.service "$units/display-manager.service"
}

is_down() {
	[[ $(systemctl is-active lab-down.target) == active ]]
}

no_usher() {
	! pgrep -f '^/usr/sbin/usher' >/dev/null
}

@test "a guest that runs when the host goes down holds nothing up, and nothing is started again" {
	local start qemu log
	survive
	display_manager "$HOST_GPU"
	# Its guests do not listen to ACPI, and have a few seconds only
	printf 'ON_SHUTDOWN=shutdown\nSHUTDOWN_TIMEOUT=3\n' >/etc/default/libvirt-guests
	systemctl daemon-reload
	systemctl start display-manager.service
	guest_define win11 device="$HOST_GPU" device="$NIC" memory=32
	policy win11
	guest_start win11
	qemu=$(guest_pid win11)
	assert_equal "$(systemctl is-active display-manager.service)" inactive
	start=$SECONDS
	systemctl start --no-block --job-mode=replace-irreversibly lab-down.target
	wait_for 150 is_down
	echo "# down after $((SECONDS - start)) s" >&3
	[[ ! -e /proc/$qemu ]] || fail "QEMU runs on"
	wait_for 15 no_usher
	log=$(journalctl -b --no-pager -o short-monotonic)
	# Its first start, and none after
	assert_equal "$(systemctl is-active display-manager.service)" inactive
	assert_equal "$(grep -c 'Started lab-dm.service' <<<"$log")" 1
	! grep -E 'State .(stop|final)-sig[a-z]*. timed out|Stopping timed out' <<<"$log" ||
		fail "something had to be killed"
	journalctl -b --no-pager -t usher -p warning | grep -v '^-- ' >"$BATS_TEST_TMPDIR/said" || true
	[[ ! -s $BATS_TEST_TMPDIR/said ]] || fail "usher complained:" "$(<"$BATS_TEST_TMPDIR/said")"
}
