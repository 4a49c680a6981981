#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/nics.bats - a network interface goes to a guest only when the host can do without

load ../guest/lib

setup() {
	network=/run/systemd/network/10-lab.network
	profile=/etc/NetworkManager/system-connections/lab.nmconnection
	iface=$(interface_of "$NIC")
	modprobe -a bridge 8021q macvtap vhost_net
	modprobe bonding max_bonds=0
	common_setup
	guest_define win11 device="$NIC" memory=32
	policy win11
}

teardown() {
	local link
	[[ -z ${away-} ]] || move_back
	for link in labbr labbond labvlan labvlan2; do
		ip link del "$link" 2>/dev/null || true
	done
	rm -f "$network"
	systemctl stop systemd-networkd.socket systemd-networkd.service 2>/dev/null || true
	networkmanager_stop
	common_teardown
	# As it was at boot: what was set on it goes with it
	echo "$NIC" >/sys/bus/pci/drivers/e1000e/unbind
	echo "$NIC" >/sys/bus/pci/drivers_probe
	udevadm settle
}

interface_of() {
	local interfaces=("/sys/bus/pci/devices/$1/net/"*)
	[[ -e ${interfaces[0]} ]] && echo "${interfaces[0]##*/}"
}

refused_with() {
	run virsh start win11
	((status != 0)) || fail "it was started"
	assert_contains "$output" "usher: win11: $NIC ("
	assert_contains "$output" "$1"
}

has_address() {
	ip -o address show dev "$(interface_of "$NIC")" | grep -q -w "$1"
}

in_own_namespace() {
	[[ $(readlink "/proc/$away/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

# move_away - the interface into the network namespace of a process, as a container's
move_away() {
	unshare -n sleep 600 3>&- &
	away=$!
	wait_for 10 in_own_namespace
	ip link set "$iface" netns "$away"
}

# With its namespace it comes back by itself
move_back() {
	kill "$away"
	wait "$away" || true
	away=
	wait_for 10 test -e "/sys/class/net/$iface"
	udevadm settle
}

@test "the host's way out is never taken, and nothing that nobody would bring back" {
	# Having been up leaves its mark
	ip link set "$iface" up
	ip link set "$iface" down
	host_before
	ip link set "$iface" up
	refused_with "has $iface up"
	ip address add 192.0.2.2/24 dev "$iface"
	refused_with "has $iface up with addresses that nobody would bring back: ip address flush dev $iface first, or have systemd-networkd or NetworkManager manage it"
	ip route add default via 192.0.2.1 dev "$iface"
	refused_with "carries the host's default route on $iface: the host would lose its network; give the host another way out first"
	policy win11 '[vfio]' 'in_use = force'
	refused_with "carries the host's default route on $iface"
	ip address flush dev "$iface"
	policy win11
	ip link add labbr type bridge
	ip link set "$iface" master labbr
	refused_with "is part of labbr through $iface, and nobody would put it back: take $iface out of it first"
	ip link set labbr up
	ip address add 192.0.2.2/24 dev labbr
	ip route add default via 192.0.2.1 dev labbr
	refused_with "carries the host's default route on labbr"
	ip link del labbr
	ip link set "$iface" down
	host_unchanged
}

@test "a bond, VLANs and another guest's macvtap on an interface are named" {
	local tap
	ip link set "$iface" up
	ip link set "$iface" down
	host_before
	ip link add labbond type bond
	ip link set "$iface" master labbond
	refused_with "is part of labbond through $iface, and nobody would put it back: take $iface out of it first"
	# The host's way out three floors up
	ip link add link labbond name labvlan type vlan id 7
	ip link add link labvlan name labvlan2 type vlan id 8
	ip link set labbond up
	ip link set labvlan up
	ip link set labvlan2 up
	ip address add 192.0.2.2/24 dev labvlan2
	ip route add default via 192.0.2.1 dev labvlan2
	refused_with "carries the host's default route on labvlan2: the host would lose its network"
	ip link del labbond
	ip link set "$iface" down
	ip link add link "$iface" name labvlan type vlan id 7
	refused_with "is part of labvlan through $iface, and nobody would put it back"
	ip link del labvlan
	ip link set "$iface" up
	guest_define other memory=32 \
		extra="<interface type='direct'><source dev='$iface' mode='bridge'/><model type='virtio'/></interface>"
	guest_start other
	tap=$(ip -o link show type macvtap | sed 's/^[0-9]*: \([^@]*\)@.*/\1/')
	refused_with "carries $tap, the network of qemu-system-x86 (pid $(guest_pid other)), on $iface: shut that guest down first, or give it another interface"
	policy win11 '[vfio]' 'in_use = force'
	refused_with "carries $tap, the network of qemu-system-x86"
	guest_destroy other
	ip link set "$iface" down
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}

@test "an interface without addresses goes and comes back" {
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	host_unchanged 30
}

@test "an interface that networkd configures goes and comes back configured" {
	mkdir -p "${network%/*}"
	printf '[Match]\nDriver=e1000e\n[Network]\nAddress=192.0.2.7/24\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n' >"$network"
	systemctl start systemd-networkd
	wait_for 20 has_address 192.0.2.7/24
	# It writes down what is its own some time later
	wait_for 20 grep -q ^NETWORK_FILE= "/run/systemd/netif/links/$(cat "/sys/class/net/$iface/ifindex")"
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	wait_for 30 has_address 192.0.2.7/24
	assert_equal "$(driver_of "$NIC")" e1000e
	# Its state files outlive it, but nobody would bring the address back then
	systemctl stop systemd-networkd.socket systemd-networkd.service
	has_address 192.0.2.7/24 || ip address add 192.0.2.7/24 dev "$(interface_of "$NIC")"
	refused_with "up with addresses that nobody would bring back"
}

@test "an interface in another network namespace is refused" {
	# Having been away leaves its mark
	move_away
	move_back
	host_before
	move_away
	refused_with "has a network interface in another network namespace, a container's perhaps: end what uses it there (lsns -t net) or move it back first"
	move_back
	host_unchanged
}

# networkmanager_start - for the NIC alone. What is at the line's other end does not matter to it, it
# makes no profile of its own for whatever it finds, and leaves names and name servers alone
networkmanager_start() {
	mkdir -p /run/NetworkManager/conf.d
	cat >/run/NetworkManager/conf.d/90-lab.conf <<-EOT
		[main]
		no-auto-default=*
		dns=none
		hostname-mode=none
		[keyfile]
		unmanaged-devices=*,except:mac:$(<"/sys/class/net/$iface/address")
		[device-lab]
		match-device=*
		ignore-carrier=yes
	EOT
	rm -f /etc/systemd/system/NetworkManager.service
	systemctl daemon-reload
	systemctl start NetworkManager
	wait_for 30 networkmanager_has_profile
}

networkmanager_has_profile() {
	grep -q '^connection-uuid=' \
		"/run/NetworkManager/devices/$(cat "/sys/class/net/$(interface_of "$NIC")/ifindex")"
}

# Masked again, as the image has it; also where it was never started
networkmanager_stop() {
	[[ ! -L /etc/systemd/system/NetworkManager.service ]] || return 0
	systemctl stop NetworkManager.service NetworkManager-dispatcher.service || true
	ln -sf /dev/null /etc/systemd/system/NetworkManager.service
	systemctl daemon-reload
	rm -rf "$profile" /run/NetworkManager
}

@test "an interface that NetworkManager configures goes and comes back configured" {
	printf '%s\n' '[connection]' 'id=lab' 'uuid=5a3e9c4e-6d0c-4f6c-9d55-1f6d1f2f3a41' 'type=ethernet' \
		'[ethernet]' "mac-address=$(<"/sys/class/net/$iface/address")" \
		'[ipv4]' 'method=manual' 'address1=192.0.2.7/24' '[ipv6]' 'method=disabled' >"$profile"
	chmod 0600 "$profile"
	networkmanager_start
	wait_for 30 has_address 192.0.2.7/24
	guest_start win11
	assert_equal "$(driver_of "$NIC")" vfio-pci
	guest_destroy win11
	wait_for 30 has_address 192.0.2.7/24
	assert_equal "$(driver_of "$NIC")" e1000e
	# It leaves all as it is when it stops, and would bring nothing back then
	systemctl stop NetworkManager
	has_address 192.0.2.7/24 || ip address add 192.0.2.7/24 dev "$(interface_of "$NIC")"
	refused_with "up with addresses that nobody would bring back"
}

# "connected (externally)": it has a profile then, which it has made of what it saw
@test "an interface that is configured by hand is refused also where NetworkManager looks on" {
	ip link set "$iface" up
	ip address add 192.0.2.2/24 dev "$iface"
	networkmanager_start
	grep -l -r "^interface-name=$iface\$" /run/NetworkManager/system-connections | xargs grep -q '^external=true'
	host_before
	refused_with "has $iface up with addresses that nobody would bring back: ip address flush dev $iface first, or have systemd-networkd or NetworkManager manage it"
	has_address 192.0.2.2/24
	assert_equal "$(driver_of "$NIC")" e1000e
	host_unchanged
}
