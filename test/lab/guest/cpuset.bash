# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# test/lab/guest/cpuset.bash - what the scenarios of usher-cpuset have in common, beside lib.bash

# A policy with every setting that guests share and the lab's machine has; cpufreq it has not
# shellcheck disable=SC2034 # the scenarios use it
readonly everything=('[cpuset]' 'wake_latency = 0')

# irqs_on CPUS - interrupts with handlers that can be moved and come to one of these CPUs, "23" for 2, 3.
# What says so of an interrupt that is not remapped, as dmar0, is only right again after the next one:
# it is moved then (kernel/irq/migration.c), to where its smp_affinity_list sends it.
irqs_on() {
	local dir list
	for dir in $(find /proc/irq -mindepth 2 -maxdepth 2 -type d -printf '%h\n' | sort -u); do
		list=$(cat "$dir/smp_affinity_list")
		[[ $(cat "$dir/effective_affinity_list") =~ ^[$1]$ && $list =~ [$1] ]] || continue
		# What takes its own value is one that could be moved
		! echo "$list" 2>/dev/null >"$dir/smp_affinity_list" || echo "${dir##*/}"
	done 2>/dev/null
}

# On all CPUs, and now on the guests' ones
spread_irqs() {
	local dir cpu=2
	for dir in $(find /proc/irq -mindepth 2 -maxdepth 2 -type d -printf '%h\n' | sort -u); do
		if echo "$cpu" >"$dir/smp_affinity_list"; then
			echo 0-3 >"$dir/smp_affinity_list"
			cpu=$((5 - cpu))
		fi
	done 2>/dev/null
}

default_irq() {
	cat /proc/irq/default_smp_affinity
}

# pinned NAME [POLICY-LINE...] PINS - a guest on these CPUs
pinned() {
	local name=$1 pins=${*: -1}
	guest_define "$name" vcpus="$(wc -w <<<"$pins")" pins="$pins" emulator=0-1
	policy "$name" "${@:2:$#-2}"
}

irq_lists() {
	(cd /proc/irq && grep -s -H '' [0-9]*/smp_affinity_list)
}

# What irqbalance leaves alone, as it says through its socket
banned() {
	perl -MSocket -e '
		my ($path) = glob("/run/irqbalance/irqbalance*.sock");
		socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
		connect($s, pack_sockaddr_un($path)) or die "$path: $!";
		send($s, "setup", 0);
		my $all = "";
		while (sysread($s, my $part, 4096)) { $all .= $part }
		print $all =~ /BANNED 0*([0-9a-f]+)/;'
}

banned_are() {
	[[ $(banned) == "$1" ]]
}

cpuset_setup() {
	irq_lists >"$BATS_TEST_TMPDIR/irqs"
	spread_irqs
	common_setup
}

cpuset_teardown() {
	systemctl stop irqbalance
	common_teardown
	while IFS=: read -r file list; do
		echo "$list" >"/proc/irq/$file" || true
	done <"$BATS_TEST_TMPDIR/irqs" 2>/dev/null
}
