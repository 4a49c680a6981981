# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# test/lab/guest/lib.bash - what the scenarios are written with
#
# A scenario file begins with "load ../guest/lib". Its setup() is common_setup, its teardown()
# common_teardown, unless it says otherwise.

bats_require_minimum_version 1.5.0
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../../schema.bash
. "$here/../../schema.bash"

# The devices of test/lab/host.bash
export GPU=0000:01:00.0 AUDIO=0000:01:00.1 NIC=0000:02:00.0 USB=0000:03:00.0 NVME=0000:04:00.0
export GPU2=0000:05:00.0 AUDIO2=0000:05:00.1 SHARED_NIC=0000:07:01.0 SHARED_AUDIO=0000:07:02.0
export HOST_GPU=0000:00:01.0

readonly policies=/etc/usher/conf.d
readonly hook_error_start="Hook script execution failed: internal error: Child process"

common_setup() {
	host_before
}

# A scenario that failed half-way must not fail the next ones.
common_teardown() {
	local guest
	pool_users_end
	virsh list --all --name | while IFS= read -r guest; do
		[[ -n $guest ]] || continue
		guest_destroy "$guest" || true
		virsh undefine --managed-save --domain "$guest" >/dev/null 2>&1 || true
	done
	find "$policies" -name '*.ini' -delete
	monitors_remove
}

# --- Saying what is wrong ------------------------------------------------------------------------

fail() {
	printf '%s\n' "$@" >&2
	return 1
}

assert_equal() {
	[[ $1 == "$2" ]] || fail "expected: $2" "     got: $1"
}

# assert_contains TEXT PART
assert_contains() {
	[[ $1 == *"$2"* ]] || fail "expected to contain: $2" "                got: $1"
}

# wait_for SECONDS COMMAND... - until it succeeds; says what was waited for when it never does
wait_for() {
	local seconds=$1 end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "waited $seconds s in vain for: $*" || return
		sleep 0.2
	done
}

not() {
	! "$@"
}

# --- The host before and after -------------------------------------------------------------------

# The subtrees that are compared; none named: all of them
compared=()

host_before() {
	"$here/snapshot" take "$BATS_TEST_TMPDIR/before" "${compared[@]}"
}

same_as_before() {
	"$here/snapshot" take "$BATS_TEST_TMPDIR/after" "${compared[@]}"
	"$here/snapshot" diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

# What goes back without anybody waiting for it (monitors, udev's work) has until the deadline.
host_unchanged() {
	udevadm settle
	wait_for "${1:-15}" same_as_before && return
	fail "the host is not what it was:" "$(same_as_before)"
}

# --- Guests --------------------------------------------------------------------------------------

xml_escape() {
	sed 's/&/\&amp;/g; s/</\&lt;/g; s/"/\&quot;/g' <<<"$1"
}

# hostdev_xml ADDRESS MANAGED - without the device's ROM, which SeaBIOS would run before it boots
hostdev_xml() {
	local domain bus slot function
	IFS=:. read -r domain bus slot function <<<"$1"
	printf "<hostdev mode='subsystem' type='pci' managed='%s'><source>" "$2"
	printf "<address domain='0x%s' bus='0x%s' slot='0x%s' function='0x%s'/></source>" \
		"$domain" "$bus" "$slot" "$function"
	# Nothing in the guest needs the card's own firmware, and emulating it takes half a minute
	printf "<rom bar='off'/></hostdev>\n"
}

# pins_xml CPU... - vCPU n on the n-th
pins_xml() {
	local vcpu=0 cpu
	for cpu in "$@"; do
		printf "<vcpupin vcpu='%d' cpuset='%s'/>" "$((vcpu++))" "$cpu"
	done
}

pages_xml() {
	[[ -z $1 ]] ||
		echo "<memoryBacking><hugepages><page size='$1' unit='KiB'/></hugepages>$(source_xml "$2")</memoryBacking>"
}

source_xml() {
	[[ -z $1 ]] || echo "<source type='$1'/>"
}

nodes_xml() {
	[[ -z $1 ]] || echo "<numatune><memory mode='strict' nodeset='$1'/></numatune>"
}

emulator_xml() {
	[[ -z $1 ]] || echo "<emulatorpin cpuset='$1'/>"
}

# guest_xml NAME [key=value...] - a guest that QEMU emulates
#	device=ADDRESS		a PCI device; managed=yes|no before it counts for it (default no)
#	memory=MIB		(32)
#	pages=KIB		huge pages of that size; source=TYPE: how QEMU gets them (memfd)
#	nodes=LIST		host nodes that its memory is bound to
#	balloon=MODEL		(none)
#	vcpus=N pins="2 3"	vCPU 0 on CPU 2, ...; emulator=CPUS; current=N are plugged in
#	uuid=UUID
#	nvme=ADDRESS		an NVMe disk by its PCI device
#	boot=FILE		a disk to boot from, with SeaBIOS; without it the guest halts at once
#	extra=XML		more devices; more=XML: more of the domain
guest_xml() {
	local name=$1 managed=no memory=32 pages='' vcpus=1 pins='' emulator='' uuid='' devices=''
	local nodes='' source='' balloon=none more='' current='' firmware
	local word value
	firmware="<loader readonly='yes' type='rom'>$(halt_rom)</loader>"
	shift
	for word in "$@"; do
		value=${word#*=}
		case $word in
		device=*) devices+=$(hostdev_xml "$value" "$managed") ;;
		nvme=*) devices+=$(nvme_xml "$value" "$managed") ;;
		boot=*)
			devices+=$(boot_xml "$value")
			firmware=''
			;;
		extra=*) devices+=$value ;;
		nodes=* | source=* | balloon=* | more=* | managed=* | memory=* | pages=* | vcpus=* | current=* | pins=* | emulator=* | uuid=*)
			printf -v "${word%%=*}" '%s' "$value"
			;;
		*) fail "guest_xml: what is '$word'?" || return ;;
		esac
	done
	cat <<-EOT
		<domain type='qemu'>
		<name>$(xml_escape "$name")</name>
		${uuid:+<uuid>$uuid</uuid>}
		<memory unit='MiB'>$memory</memory>
		$(pages_xml "$pages" "$source")
		$(nodes_xml "$nodes")$more
		<vcpu current='${current:-$vcpus}'>$vcpus</vcpu>
		<cputune>$(# shellcheck disable=SC2086 # a list of CPUs
		pins_xml $pins; emulator_xml "$emulator")</cputune>
		<os><type arch='x86_64' machine='q35'>hvm</type>$firmware</os>
		<features><acpi/></features>
		<devices>
		<controller type='usb' model='none'/><memballoon model='$balloon'/>
		$devices
		</devices>
		</domain>
	EOT
}

nvme_xml() {
	hostdev_xml "$1" "$2" |
		sed "s/<hostdev[^>]*><source>/<disk type='nvme' device='disk'><driver name='qemu' type='raw'\/><source type='pci' managed='$2' namespace='1'>/;
			s/<rom.*<\/hostdev>/<target dev='vdn' bus='virtio'\/><\/disk>/"
}

boot_xml() {
	printf "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/>" "$1"
	printf "<target dev='vda' bus='virtio'/><readonly/><boot order='1'/></disk>\n"
}

# halt_rom - print the path of a firmware that is cli and hlt at the reset vector, 16 bytes before its
# end. What SeaBIOS does without a disk, but that emulating it costs one of the machine's two cores.
halt_rom() {
	local file=/var/lib/libvirt/images/halt.rom
	if [[ ! -e $file ]]; then
		truncate -s $((65536 - 16)) "$file.new"
		printf '\xfa\xf4\xeb\xfd' >>"$file.new"
		truncate -s 65536 "$file.new"
		mv "$file.new" "$file"
	fi
	echo "$file"
}

# boot_image - print the path of a boot sector that powers the machine off when its button is pressed,
# by ACPI's registers where SeaBIOS puts them on a q35: PWRBTN_EN into PM1a_EN (0x602); at each of the
# BIOS's clock ticks a look for PWRBTN_STS in PM1a_STS (0x600); S5 into PM1a_CNT (0x604)
boot_image() {
	local file=/var/lib/libvirt/images/poweroff.img
	{
		printf '\xfb\xba\x02\x06\xb8\x00\x01\xef'
		printf '\xf4\xba\x00\x06\xed\xf6\xc4\x01\x74\xf6'
		printf '\xba\x04\x06\xb8\x00\x20\xef\xf4\xeb\xfd'
		head -c 482 /dev/zero
		printf '\x55\xaa'
	} >"$file"
	truncate -s 1M "$file"
	echo "$file"
}

# spin_image - print the path of a boot sector that spins: jmp to itself
spin_image() {
	local file=/var/lib/libvirt/images/spin.img
	{
		printf '\xeb\xfe'
		head -c 508 /dev/zero
		printf '\x55\xaa'
	} >"$file"
	truncate -s 1M "$file"
	echo "$file"
}

# guest_define NAME [key=value...] - as guest_xml
guest_define() {
	guest_xml "$@" >"$BATS_TEST_TMPDIR/guest.xml"
	virsh define "$BATS_TEST_TMPDIR/guest.xml" >/dev/null
}

# policy NAME [LINE...] - its policy file; without lines an empty one, which is a complete policy
policy() {
	local name=$1
	shift
	mkdir -p "$policies"
	if (($#)); then
		printf '%s\n' "$@"
	fi >"$policies/$name.ini"
}

guest_start() {
	virsh start --domain "$1"
}

guest_running() {
	[[ $(virsh domstate --domain "$1" 2>/dev/null) == running ]]
}

guest_off() {
	[[ $(virsh domstate --domain "$1" 2>/dev/null) == "shut off" ]]
}

guest_destroy() {
	guest_off "$1" || virsh destroy --domain "$1" >/dev/null
}

guest_uuid() {
	virsh domuuid --domain "$1" | head -n 1
}

# guest_pid NAME - of its QEMU
guest_pid() {
	cat "/run/libvirt/qemu/$1.pid"
}

# guest_power_off NAME - as its user does; a press of the button before the guest listens is lost
guest_power_off() {
	wait_for 120 guest_off_by_button "$1"
}

guest_off_by_button() {
	virsh shutdown --domain "$1"
	guest_off "$1"
}

# start_fails NAME - print all that usher says of it, one line if it is as it should be
start_fails() {
	local output status=0
	output=$(virsh start --domain "$1" 2>&1) || status=$?
	((status != 0)) || fail "'$1' was started" || return
	assert_contains "$output" "$hook_error_start" || return
	awk 'sub(/.*unexpected exit status [0-9]*: /, "") { on = 1 } on && NF' <<<"$output"
}

start_refused() {
	local said
	said=$(start_fails "$1") || return
	assert_equal "$said" "$2"
}

# start_refused_like NAME PATTERN - an extended regular expression for the whole of it
start_refused_like() {
	local said
	said=$(start_fails "$1") || return
	[[ $said != *$'\n'* && $said =~ ^$2$ ]] || fail "expected to match: $2" "              got: $said"
}

# --- CPUs ----------------------------------------------------------------------------------------

readonly cgroups=/sys/fs/cgroup

# has_partitions - can a guest's own groups be partitions (since Linux 6.7), or have the slices to do
has_partitions() {
	[[ -e $cgroups/cpuset.cpus.isolated ]]
}

# cpus_in LIST - one a line
cpus_in() {
	local part
	for part in ${1//,/ }; do
		seq "${part%-*}" "${part#*-}"
	done
}

# slices_cpus - where anything of the host may run that is no guest, one a line. A slice whose
# controller is off has all that there are.
slices_cpus() {
	local slice
	for slice in system.slice user.slice init.scope; do
		[[ ! -d $cgroups/$slice ]] || cpus_in "$(
			cat "$cgroups/$slice/cpuset.cpus.effective" 2>/dev/null ||
				cat $cgroups/cpuset.cpus.effective
		)"
	done | sort -u
}

# alone - the CPUs that guests have for themselves alone, "2 3", as this kernel can have it: isolated
# by it, else in no slice
alone() {
	if has_partitions; then
		cpus_in "$(<$cgroups/cpuset.cpus.isolated)"
	else
		cpus_in "$(<$cgroups/cpuset.cpus.effective)" | grep -vxF -f <(slices_cpus)
	fi | xargs
}

# alone_are LIST
alone_are() {
	[[ $(alone) == "$(cpus_in "$1" | xargs)" ]]
}

# assert_alone LIST
assert_alone() {
	assert_equal "$(alone)" "$(cpus_in "$1" | xargs)"
}

# vcpu_group NAME N - below the mount of the cgroups
vcpu_group() {
	local line
	line=$(grep '^0::' "/proc/$(guest_pid "$1")/cgroup")
	line=${line#0::}
	echo "$cgroups${line%/emulator}/vcpu$2"
}

# vcpu_cpus NAME N - where the thread of that vCPU may run
vcpu_cpus() {
	local tid
	tid=$(head -n 1 "$(vcpu_group "$1" "$2")/cgroup.threads")
	awk '/^Cpus_allowed_list:/ { print $2 }' "/proc/$(guest_pid "$1")/task/$tid/status"
}

# --- Devices, pools, monitors --------------------------------------------------------------------

driver_of() {
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/driver") && echo "${link##*/}"
}

# driver_is ADDRESS NAME
driver_is() {
	[[ $(driver_of "$1") == "$2" ]]
}

# pool NODE [free|surplus] - pages of 2 MiB on a node
pool() {
	cat "/sys/devices/system/node/node$1/hugepages/hugepages-2048kB/${2:-nr}_hugepages"
}

# assert_pools NR0 NR1 - all pages, in use or not, of each node
assert_pools() {
	assert_equal "$(pool 0) $(pool 1)" "$1 $2"
}

pools_are() {
	[[ "$(pool 0) $(pool 1)" == "$1 $2" ]]
}

# Pages of 2 MiB that QEMU has on a node
pages_of() {
	awk -v node="N$2" '/huge/ { for (i = 3; i <= NF; i++) { split($i, at, "=");
		if (at[1] == node) sum += at[2] } } END { print sum + 0 }' \
		"/proc/$(guest_pid "$1")/numa_maps"
}

# Of each node, the pages in use by guests beyond the pool left out
persistent_are() {
	[[ "$(($(pool 0) - $(pool 0 surplus))) $(($(pool 1) - $(pool 1 surplus)))" == "$1 $2" ]]
}

# Free pages that somebody has mapped and not touched
reserved() {
	cat /sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages
}

# pool_size KIB - pages there are of that size
pool_size() {
	cat "/sys/kernel/mm/hugepages/hugepages-$1kB/nr_hugepages"
}

# --- Others that use huge pages ------------------------------------------------------------------

declare -gA pool_users=()

# pool_user NAME [WORD...] - start guest/pooluser.c; the words are its arguments, a CPU=N before them
# says where it runs
pool_user() {
	local name=$1 dir=$BATS_TEST_TMPDIR program=$BATS_FILE_TMPDIR/pooluser cpu=0-3
	shift
	[[ ${1-} != CPU=* ]] || {
		cpu=${1#CPU=}
		shift
	}
	[[ -x $program ]] || gcc -O2 -o "$program" "$here/pooluser.c"
	mkfifo "$dir/$name.in" "$dir/$name.out"
	# It has both ends itself: no end of file, and nobody waits for the other to open
	taskset -c "$cpu" "$program" "$@" 0<>"$dir/$name.in" 1<>"$dir/$name.out" 3>&- &
	pool_users[$name]=$!
	# What is written to a fifo that nobody has open is lost
	wait_for 30 pool_user_listens "$name"
}

pool_user_listens() {
	[[ $(readlink "/proc/${pool_users[$1]}/fd/1") == *"/$1.out" ]]
}

# pool_user_does NAME COMMAND... - see guest/pooluser.c
pool_user_does() {
	local name=$1 answer=''
	shift
	kill -0 "${pool_users[$name]}" || fail "$name has died before: $*" || return
	echo "$*" 1<>"$BATS_TEST_TMPDIR/$name.in"
	read -r -t 60 answer <>"$BATS_TEST_TMPDIR/$name.out" || true
	[[ $answer == ok ]] || fail "$name: $*: ${answer:-it did not answer}"
}

pool_user_ends() {
	kill -9 "${pool_users[$1]}"
	wait "${pool_users[$1]}" 2>/dev/null || true
	unset "pool_users[$1]"
	rm -f "$BATS_TEST_TMPDIR/$1".{in,out}
}

pool_users_end() {
	local name
	for name in "${!pool_users[@]}"; do
		pool_user_ends "$name" || true
	done
}

# oom_kills - processes that the kernel has ended for want of memory
oom_kills() {
	awk '$1 == "oom_kill" { print $2 }' /proc/vmstat
}

# eater_is_full PID MIB - has a process that fills memory got nearly as much
eater_is_full() {
	(($(awk '{ print $2 }' "/proc/$1/statm") > $2 * 250))
}

# monitor_add name=... cable=... - as test/lab/monitor/main.c says
monitor_add() {
	echo "$*" >/sys/kernel/debug/lab_monitor/add
}

monitors_remove() {
	echo '*' >/sys/kernel/debug/lab_monitor/remove
}

# monitor_input NAME - in hex, as in its VCP feature 0x60
monitor_input() {
	printf '0x%02x\n' "$(cat "/sys/kernel/debug/lab_monitor/$1/input")"
}
