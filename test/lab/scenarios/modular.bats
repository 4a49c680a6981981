#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/modular.bats - a host whose guests are virtqemud's
#
# Debian builds no virtqemud (seen in 12, 13 and testing, libvirt 12.8): libvirtd's program runs as
# the unit and with the pid file of virtqemud, which is all that usher knows it by.

load ../guest/lib

readonly hook=/etc/libvirt/hooks/qemu unit=/run/systemd/system/virtqemud.service
readonly sockets=(libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket)

setup() {
	common_setup
}

teardown() {
	common_teardown
	to_libvirtd
}

to_virtqemud() {
	systemctl stop "${sockets[@]}" libvirtd.service
	cat >"$unit" <<-'EOT'
		[Unit]
		Description=libvirtd in the place of virtqemud
		[Service]
		Type=notify
		ExecStart=/usr/sbin/libvirtd --pid-file /run/virtqemud.pid
		ExecReload=/bin/kill -HUP $MAINPID
		KillMode=process
	EOT
	systemctl daemon-reload
	systemctl start virtqemud.service
	wait_for 30 virsh list
}

to_libvirtd() {
	[[ -e $unit ]] || return 0
	systemctl stop virtqemud.service
	rm -f "$unit"
	systemctl daemon-reload
	systemctl start "${sockets[@]}" libvirtd.service
	wait_for 30 virsh list
}

reload_row() {
	usher check | grep -E '^[a-z]+ +reload: '
}

@test "virtqemud's unit is named by check, reloaded by install.sh, and pulls recover in" {
	to_virtqemud
	rm "$hook"
	systemctl reload virtqemud
	sleep 1.2
	ln -s /usr/sbin/usher-hook "$hook"
	assert_contains "$(reload_row)" "is newer than the start of virtqemud"
	assert_contains "$(reload_row)" "systemctl reload virtqemud.service"
	BUILD_DIR=/lab/build run -0 /lab/src/install.sh install
	assert_contains "$output" "install.sh: virtqemud reloaded"
	[[ $output != *"libvirtd reloaded"* ]] || fail "a daemon that does not run was reloaded" "$output"
	assert_contains "$(reload_row)" "the daemon knows of the hook"

	policy mod
	guest_define mod memory=32 pages=2048 device="$NIC"
	guest_start mod
	assert_equal "$(driver_of "$NIC")" vfio-pci
	# As after an upgrade of libvirt under a running guest
	systemctl restart virtqemud
	wait_for 30 guest_running mod
	assert_equal "$(usher status --json | jq -r '.guests[] | .guest + " " + .state')" "mod running"
	guest_destroy mod
	wait_for 20 not test -e "/run/usher/$(guest_uuid mod)"
	assert_equal "$(driver_of "$NIC")" e1000e

	# A daemon that died in a start sends no release; its next start brings recover with it
	virsh dumpxml mod >"$BATS_TEST_TMPDIR/mod.xml"
	bash -c "/usr/sbin/usher-hook mod prepare begin - <$BATS_TEST_TMPDIR/mod.xml; :"
	assert_equal "$(driver_of "$NIC")" vfio-pci
	systemctl restart virtqemud
	wait_for 30 not test -e "/run/usher/$(guest_uuid mod)"
	assert_equal "$(driver_of "$NIC")" e1000e
	to_libvirtd
	host_unchanged 30
}
