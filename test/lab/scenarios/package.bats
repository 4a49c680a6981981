#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/package.bats - the Debian package: installed, upgraded over a guest, removed, purged
# lab: deb

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	common_teardown
	dpkg --purge usher >/dev/null 2>&1 || true
	BUILD_DIR=/lab/build /lab/src/install.sh install
}

files() {
	find /etc /usr/sbin /usr/bin /usr/lib/systemd /usr/lib/usher /usr/share/man /usr/share/doc \
		/usr/share/lintian /usr/share/bash-completion /run/usher ! -path '/etc/libvirt/qemu*' \
		! -path '/etc/apparmor.d/*' -printf '%p %y %m %s %l\n' 2>/dev/null | sort
}

# The same package with a higher version
repack() {
	local dir=$BATS_TEST_TMPDIR/repack
	dpkg-deb -R /lab/build/deb/usher_*.deb "$dir"
	sed -i 's/^Version: .*/Version: 9.9/' "$dir/DEBIAN/control"
	dpkg-deb -b --root-owner-group -Zgzip "$dir" "$BATS_TEST_TMPDIR/usher_9.9.deb" >/dev/null
}

@test "beside what install.sh has put there the package is refused" {
	run dpkg -i /lab/build/deb/usher_*.deb
	((status != 0)) || fail "it was installed"
	assert_contains "$output" "usher: install.sh has installed usher here: run prefix=/usr ./install.sh uninstall first"
	assert_equal "$(readlink /etc/libvirt/hooks/qemu)" /usr/sbin/usher-hook
}

@test "beside a copy of the hook, or one that calls it, the package is refused: each step would be done twice" {
	/lab/src/install.sh uninstall
	cp /lab/build/usher-hook /etc/libvirt/hooks/qemu
	run dpkg -i /lab/build/deb/usher_*.deb
	((status != 0)) || fail "it was installed"
	assert_contains "$output" "usher: /etc/libvirt/hooks/qemu is a copy of usher-hook"
	[[ ! -e /usr/sbin/usher-hook && ! -L /etc/libvirt/hooks/qemu.d/usher ]]
	rm /etc/libvirt/hooks/qemu
	install -m 755 /dev/stdin /etc/libvirt/hooks/qemu <<<$'#!/bin/sh\nexec /usr/sbin/usher-hook "$@"'
	run dpkg -i /lab/build/deb/usher_*.deb
	((status != 0)) || fail "it was installed"
	assert_contains "$output" "usher: /etc/libvirt/hooks/qemu calls usher-hook, and every step would run twice"
	[[ ! -e /usr/sbin/usher-hook && ! -L /etc/libvirt/hooks/qemu.d/usher ]]
	rm /etc/libvirt/hooks/qemu
	dpkg --purge usher
	BUILD_DIR=/lab/build /lab/src/install.sh install
	host_unchanged
}

@test "install, start, upgrade over the guest, no removal beside it, remove, purge: nothing is left" {
	local qemu holder
	/lab/src/install.sh uninstall
	rm -rf /run/usher
	files >"$BATS_TEST_TMPDIR/bare"
	dpkg -i /lab/build/deb/usher_*.deb
	run -0 usher check
	policy pack
	guest_define pack memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1 device="$NIC"
	guest_start pack
	assert_equal "$(driver_of "$NIC")" vfio-pci
	qemu=$(guest_pid pack)
	holder=$(pgrep -f 'usher-nosleep.*hold')

	repack
	dpkg -i "$BATS_TEST_TMPDIR/usher_9.9.deb"
	guest_running pack
	assert_equal "$(guest_pid pack)" "$qemu"
	kill -0 "$holder"
	assert_equal "$(usher status --json | jq -r '.guests[] | .guest + " " + .state')" "pack running"

	run dpkg --remove usher
	((status != 0)) || fail "it was removed beside a running guest"
	assert_contains "$output" "usher: guest pack holds devices of this host: shut it down"
	[[ -x /usr/sbin/usher-hook ]]

	guest_destroy pack
	wait_for 20 not test -e "/run/usher/$(guest_uuid pack)"
	assert_equal "$(driver_of "$NIC")" e1000e
	dpkg --remove usher
	[[ ! -e /usr/sbin/usher-hook && ! -L /etc/libvirt/hooks/qemu.d/usher ]]
	[[ -e /etc/usher/usher.ini ]]
	# Its policy is a file that nobody reads
	guest_define plain memory=32
	policy plain
	guest_start plain
	guest_running plain
	[[ ! -e /run/usher/$(guest_uuid plain) ]]
	guest_destroy plain
	dpkg --purge usher
	files | diff "$BATS_TEST_TMPDIR/bare" -
	BUILD_DIR=/lab/build /lab/src/install.sh install
	host_unchanged 30
}
