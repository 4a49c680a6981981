# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# test/lab/host.bash - the lab's machine: start it, run commands in it, stop it
#
# All functions work on one folder, $vm, which holds the machine's pipes, logs and results.
# In the machine it is /lab/out; the source tree is /lab/src, the built programs /lab/build.

# Set by who sources this: the source tree, what was built from it, the machine's folder.
: "${src:?}" "${build:?}" "${vm:?}"

# - An emulated TSC is the same on all CPUs; the kernel would not believe it and take the HPET,
#   which costs a trap and QEMU's big lock for each look at the clock.
# - Emulation on busy cores is slow, not stuck: the watchdogs get time. What RCU says of a stall
#   tells a machine that has hung (vm_stalled); guest/setup gives it more time than a boot has.
# - An oops ends the machine, so that no run passes over one.
readonly kernel_args=(
	root=/dev/vda rw console=ttyS0 loglevel=5 systemd.show_status=false
	intel_iommu=on iommu=pt apparmor=1 security=apparmor
	tsc=reliable watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=20
	oops=panic panic=-1
)

# All that can be emulated, but what costs time for nothing: "fast strings" are byte by byte in
# emulation, a fifth level of page tables is walked for each miss, the others end each block of code
# that touches user memory. A quarter of the time that a snapshot of the host takes.
readonly cpu=max,-erms,-fsrm,-la57,-smap,-pku

# One thread for all CPUs. With one for each (Seen on: QEMU 10.0.2), accesses to devices get lost when
# memory of another device moves at the same moment: an APIC whose timer interrupt is in service for
# ever, so that the CPU hears nothing else (one boot in five hung), or an assertion in msix.c.
readonly tcg=${LAB_TCG:-single}

# Seconds; emulation on two busy cores is slow, a working machine needs a quarter of these.
readonly boot_deadline=${LAB_BOOT_DEADLINE:-240}
# How often a machine that does not come up is started anew; it is said.
readonly boots_max=${LAB_BOOTS_MAX:-3}

die() {
	echo "lab: $*" >&2
	exit 1
}

# Two nodes of two CPUs by default; "# lab: numa=1" in a scenario asks for a plain machine.
vm_memory_args() {
	local nodes=$1
	local threads=${LAB_THREADS:-1}
	printf '%s\n' -smp "4,sockets=$nodes,cores=$((4 / nodes / threads)),threads=$threads" -m 4G
	if ((nodes == 2)); then
		printf '%s\n' \
			-object memory-backend-ram,id=ram0,size=2G -numa node,nodeid=0,cpus=0-1,memdev=ram0 \
			-object memory-backend-ram,id=ram1,size=2G -numa node,nodeid=1,cpus=2-3,memdev=ram1
	fi
}

# The host's own display and NIC on the root bus; what guests take behind root ports, so that each
# port is an IOMMU group. Bus numbers are those of test/lab/guest/devices.bash.
vm_device_args() {
	local port
	[[ ${LAB_IOMMU-} == none ]] || printf '%s\n' -device intel-iommu,intremap=on
	printf '%s\n' -device VGA,addr=01.0
	printf '%s\n' -netdev hubport,id=own,hubid=0 -device virtio-net-pci,netdev=own,addr=02.0
	for port in 1 2 3 4 5 6; do
		printf '%s\n' -device "pcie-root-port,id=port$port,chassis=$port,addr=1$port.0"
	done
	# bus 1: a GPU and its audio function; bus 5: its twin
	printf '%s\n' -audiodev none,id=silent
	for port in 1 5; do
		printf '%s\n' \
			-device "bochs-display,bus=port$port,addr=0.0,multifunction=on" \
			-device "intel-hda,bus=port$port,addr=0.1,id=hda$port" \
			-device "hda-duplex,bus=hda$port.0,audiodev=silent"
	done
	# bus 2: a NIC, bus 3: a USB controller, bus 4: an NVMe disk
	printf '%s\n' -netdev hubport,id=lan,hubid=1 -device e1000e,bus=port2,netdev=lan
	printf '%s\n' -device qemu-xhci,bus=port3
	printf '%s\n' -drive "if=none,id=nvme,format=raw,file=$vm/nvme.img" \
		-device nvme,bus=port4,drive=nvme,serial=lab-nvme
	# bus 6: a plain PCI bridge, whose two devices in different slots share one group
	printf '%s\n' -device pcie-pci-bridge,id=shared,bus=port6 \
		-device e1000,bus=shared,addr=01.0 -device AC97,bus=shared,addr=02.0,audiodev=silent
	[[ ${LAB_DEVICES-} == more ]] || return 0
	# on bus 3's USB controller a keyboard, bus 8: a NIC with virtual functions
	printf '%s\n' -device usb-kbd
	printf '%s\n' -device pcie-root-port,id=port7,chassis=7,addr=17.0 \
		-netdev hubport,id=many,hubid=2 -device igb,bus=port7,netdev=many
}

vm_share() {
	printf '%s\n' -virtfs "local,id=$1,mount_tag=$1,path=$2,security_model=none${3-}"
}

vm_channel_args() {
	printf '%s\n' -serial "file:$vm/serial.log" \
		-chardev "pipe,id=monitor,path=$vm/monitor" -mon chardev=monitor \
		-device virtio-serial-pci -chardev "pipe,id=command,path=$vm/command" \
		-device virtserialport,chardev=command,name=lab.command
	vm_share src "$src" ,readonly=on
	vm_share build "$build" ,readonly=on
	vm_share out "$vm"
}

# vm_qemu IMAGE_DIR ARG... - run the machine until it ends, and say how it did
vm_qemu() {
	local image=$1 status=0
	shift
	qemu-system-x86_64 -name usher-lab -nodefaults -display none -no-reboot \
		-machine q35,kernel-irqchip=split -accel tcg,thread="$tcg" -cpu "$cpu" \
		-kernel "$image/vmlinuz" -initrd "$image/initrd" \
		-append "${kernel_args[*]} ${LAB_APPEND-}" \
		"$@" \
		-drive "if=none,id=root,format=raw,snapshot=on,file=$image/disk.ext4" \
		-device virtio-blk-pci,drive=root &
	echo $! >"$vm/pid"
	wait $! || status=$?
	echo "QEMU ended with status $status"
}

wait_pid() {
	local end=$((SECONDS + 10))
	until [[ -s $vm/pid ]]; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# vm_start IMAGE_DIR NODES - boot it; its disk keeps nothing of what happens in it
vm_start() {
	local boot
	for ((boot = 1; boot <= boots_max; boot++)); do
		! vm_boot "$@" || return 0
		echo "# boot $boot of $boots_max did not come up: $(vm_last_words)" >&2
		vm_stop
	done
	die "the machine does not come up"
}

# vm_boot IMAGE_DIR NODES - Return: 0 it is ready for commands
vm_boot() {
	local image=$1 nodes=$2 args=()
	rm -rf "$vm"/{pid,ready,exec,serial.log,{command,monitor}.{in,out}}
	mkdir -p "$vm/exec"
	mkfifo "$vm"/{command,monitor}.{in,out}
	truncate -s 64M "$vm/nvme.img"
	mapfile -t args < <(vm_memory_args "$nodes" && vm_device_args && vm_channel_args)
	# shellcheck disable=SC2086 # LAB_QEMU: more arguments
	vm_qemu "$image" "${args[@]}" ${LAB_QEMU-} >"$vm/qemu.log" 2>&1 8>&- 9>&- &
	wait_pid || die "QEMU did not start: $(vm_last_words)"
	vm_wait_ready
}

vm_wait_ready() {
	vm_wait_file "$vm/ready" "$boot_deadline"
}

# A CPU has stopped, and with it all that waits for RCU: the kernel says so long before a deadline
vm_stalled() {
	grep -qs 'rcu: .* kthread starved' "$vm/serial.log"
}

# vm_ask COMMAND - what QEMU's own monitor says to it
vm_ask() {
	local out
	exec {out}<>"$vm/monitor.out"
	echo "$1" >"$vm/monitor.in"
	timeout 2 cat <&"$out" | tr -d '\r' || true
	exec {out}>&-
}

# vm_apics - the state of each CPU's local APIC: one that has hung has a vector in ISR, always the same
vm_apics() {
	local number
	for number in 0 1 2 3; do
		vm_ask "info lapic $number"
	done
}

vm_alive() {
	local pid
	pid=$(cat "$vm/pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null
}

# The end of what QEMU or the guest's kernel had to say, for a message
vm_last_words() {
	local words
	words=$(tail -n 3 "$vm/qemu.log" "$vm/serial.log" 2>/dev/null | tr -d '\r' | tr '\n' ' ')
	echo "${words:-it said nothing} (whole: $vm/serial.log)"
}

# vm_wait_file FILE SECONDS - until the machine has written it
vm_wait_file() {
	local end=$((SECONDS + $2))
	until [[ -e $1 ]]; do
		((SECONDS < end)) && vm_alive && ! vm_stalled || return 1
		sleep 0.2
	done
}

# vm_exec SECONDS COMMAND - run it in the machine, show its output as it comes
# Return: the command's status; 124 when the time is over, 125 when the machine is gone or has hung
vm_exec() {
	local seconds=$1 name shown=0 status
	name=$(printf '%(%H%M%S)T' -1)-$RANDOM
	printf '%s\n' "$2" >"$vm/exec/$name.sh"
	: >"$vm/exec/$name.log"
	tail -n +1 -s 0.3 -f "$vm/exec/$name.log" 8>&- &
	shown=$!
	echo "$name" >"$vm/command.in"
	status=$vm/exec/$name.status
	vm_wait_file "$status" "$seconds" || true
	sleep 0.5
	kill "$shown"
	wait "$shown" 2>/dev/null || true
	[[ ! -e $status ]] || return "$(<"$status")"
	vm_alive && ! vm_stalled && return 124
	return 125
}

vm_stop() {
	local pid end=$((SECONDS + 10))
	pid=$(cat "$vm/pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null || true
	while vm_alive && ((SECONDS < end)); do
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$vm/pid"
}
