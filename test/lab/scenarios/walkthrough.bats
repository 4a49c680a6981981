#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# test/lab/scenarios/walkthrough.bats - usher as a new user meets it, from install.sh to uninstall

load ../guest/lib

setup() {
	common_setup
}

teardown() {
	# The next one's tracer could not attach
	pkill -x strace || true
	common_teardown
	[[ -e /usr/sbin/usher-hook ]] || BUILD_DIR=/lab/build /lab/src/install.sh install
	rm -rf /etc/libvirt/hooks/qemu.d
}

# Where an installation may put anything
files() {
	find /etc /usr/sbin /usr/bin /usr/lib/systemd /usr/lib/usher /usr/share/man /usr/share/doc \
		/usr/share/bash-completion /run/usher /run/tmpfiles.d ! -path '/etc/libvirt/qemu*' ! -path '/etc/apparmor.d/*' \
		-printf '%p %y %m %s %l\n' 2>/dev/null | sort
}

# A guest as it should be, but for its second vCPU's pin
walk_xml() {
	guest_xml walk memory=64 pages=2048 vcpus=2 pins=2 emulator=0-1 device="$GPU" device="$AUDIO" \
		"boot=$(boot_image)" |
		sed "s|<os>|<numatune><memory mode='strict' nodeset='1'/></numatune><cpu mode='maximum'/>&|"
}

@test "install, define, init, check, mend, start, status, shut down, log, uninstall: nothing is left" {
	/lab/src/install.sh uninstall
	files >"$BATS_TEST_TMPDIR/bare"

	BUILD_DIR=/lab/build /lab/src/install.sh install
	walk_xml >"$BATS_TEST_TMPDIR/walk.xml"
	virsh define "$BATS_TEST_TMPDIR/walk.xml" >/dev/null
	run -0 usher init walk
	assert_contains "$(cat "$policies/walk.ini")" "expect = $GPU=1234:1111 $AUDIO=8086:2668"

	run -1 usher init walk </dev/null
	assert_contains "$output" "$policies/walk.ini is as it was"

	run -1 usher check walk
	assert_equal "$(grep -v -e '^ok' -e '^note' <<<"$output")" \
		"warning  pins: 1 of 2 vCPUs are pinned: the others run on the host's CPUs: add a <vcpupin> for each"
	virsh vcpupin walk 1 3 --config >/dev/null
	run -0 usher check walk

	guest_start walk
	assert_equal "$(driver_of "$GPU")" vfio-pci
	run -0 usher status
	assert_contains "$output" "walk ("
	assert_contains "$output" "): running, kept by process $(guest_pid walk)"
	assert_contains "$output" "  CPUs        2-3"
	assert_contains "$output" "  huge pages  32 of 2 MiB on node 1"
	assert_contains "$output" "host: housekeeping CPUs 0-1 of 0-3"
	usher status --json >"$BATS_TEST_TMPDIR/status"
	assert_equal "$(jq -r '.guests[0].devices[].address' "$BATS_TEST_TMPDIR/status" | xargs)" "$GPU $AUDIO"
	assert_equal "$(jq -c '[.cpus[] | select(.guest == "walk") | .cpu]' "$BATS_TEST_TMPDIR/status")" "[2,3]"
	assert_equal "$(jq -r '[.devices[] | select(.guest == "walk") | .address] | join(" ")' "$BATS_TEST_TMPDIR/status")" "$GPU $AUDIO"
	# Only what is stuck has these: stuckdrv.bats, test/demo
	schema_fits status "path pid seconds" "$BATS_TEST_TMPDIR/status"
	plan_writes_nothing walk
	schema_fits plan "" "$BATS_TEST_TMPDIR/plan"

	guest_power_off walk
	wait_for 30 log_has release
	run -0 usher status
	assert_contains "$output" "no guest holds anything"
	run -0 usher log walk
	assert_contains "$output" "vfio apply: done in "
	assert_contains "$output" "release: done in "
	steps_are_structured walk
	# Of a guest whose name begins with this one's
	printf '%s\n' SYSLOG_IDENTIFIER=usher 'USHER_GUEST=walk: b' 'MESSAGE=walk: b: not of this guest' |
		logger --journald
	logger -t usher 'walk: of this guest'
	wait_for 10 log_says "of this guest"
	[[ $(usher log walk) != *"not of this guest"* ]] || fail "$(usher log walk)"
	usher log --json walk >"$BATS_TEST_TMPDIR/log"
	schema_fits log "" "$BATS_TEST_TMPDIR/log"
	usher check --json walk >"$BATS_TEST_TMPDIR/check" || true
	schema_fits check "" "$BATS_TEST_TMPDIR/check"
	usher recover --json >"$BATS_TEST_TMPDIR/recover"
	schema_fits recover "" "$BATS_TEST_TMPDIR/recover"
	usher groups --save "$BATS_TEST_TMPDIR/groups.xml"
	sed -i "0,/reset=/s/ reset=\"[^\"]*\"/ reset=\"magic\"/" "$BATS_TEST_TMPDIR/groups.xml"
	usher groups --json >"$BATS_TEST_TMPDIR/groups"
	run -1 usher groups --json --xml "$BATS_TEST_TMPDIR/groups.xml"
	echo "$output" >"$BATS_TEST_TMPDIR/changes"
	schema_fits groups "" "$BATS_TEST_TMPDIR/groups" "$BATS_TEST_TMPDIR/changes"

	rm "$policies/walk.ini"
	/lab/src/install.sh uninstall
	files | diff "$BATS_TEST_TMPDIR/bare" -
	BUILD_DIR=/lab/build /lab/src/install.sh install
	host_unchanged 30
}

log_has() {
	usher log --json walk | jq -e --arg phase "$1" \
		'any(.entries[]; .phase == $phase and .step == null and .result == "done" and .ms >= 0)'
}

log_says() {
	usher log walk | grep -qF "$1"
}

# steps_are_structured GUEST - each step's line in the journal has its fields, one line a step; what a
# step had to say has them but for the result and the time, which are the step's
steps_are_structured() {
	local uuid story=$BATS_TEST_TMPDIR/journal
	uuid=$(guest_uuid "$1")
	journalctl -t usher --no-pager -o json "USHER_GUEST=$1" | jq -c 'select(.USHER_VERB)' >"$story"
	jq -s -e --arg uuid "$uuid" 'all(.USHER_UUID == $uuid and .USHER_PHASE and .USHER_STEP and
		(.MESSAGE | contains("\n") | not) and
		if .USHER_RESULT then .USHER_RESULT == "done" and (.USHER_MSEC | tonumber) >= 0
		else .USHER_MSEC == null end)' \
		"$story" >/dev/null || fail "a line lacks a field:" "$(cat "$story")"
	jq -r 'select(.USHER_RESULT) | "\(.USHER_PHASE) \(.USHER_STEP) \(.USHER_VERB)"' "$story" >"$story.steps"
	assert_equal "$(sort "$story.steps" | uniq -d)" ""
	assert_equal "$(grep -c -x -e 'prepare vfio apply' -e 'prepare hugepages apply' -e 'started cpuset apply' \
		-e 'release vfio undo' "$story.steps")" 4
}

# failures_of GUEST SINCE - the phase, step and verb of each that failed since then, in seconds since
# 1970, from the journal's fields
failures_of() {
	journalctl -t usher --no-pager -o json --since "@$2" "USHER_GUEST=$1" USHER_RESULT=failed |
		jq -r 'select(.USHER_STEP and .USHER_UUID and (.USHER_MSEC | tonumber) >= 0) | "\(.USHER_PHASE) \(.USHER_STEP) \(.USHER_VERB)"'
}

# A call that another process interrupted, in one line again; one that never returned at the end
whole_calls() {
	awk '/ <unfinished \.\.\.>$/ { pid = $1; sub(/ <unfinished \.\.\.>$/, ""); open[pid] = $0; next }
		/^[0-9]+ +<\.\.\. [a-z0-9_]+ resumed>/ { end = $0; sub(/^[0-9]+ +<\.\.\. [a-z0-9_]+ resumed>/, "", end)
			$0 = open[$1] end; delete open[$1] }
		{ print }
		END { for (pid in open) print open[pid] " <unfinished ...>" }' "$1"
}

# Each object's writes in their order, the objects sorted: what is done to one happens beside what is
# done to another. An object is a PCI device, the last that the path or what is written names; all the
# rest is another
by_object() {
	sed 's/.*\([0-9a-f]\{4\}:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]\.[0-7]\).*/\1 &/; t; s/^/- /' |
		sort -s -k 1,1 | cut -d ' ' -f 2-
}

# "PATH VALUE" of each write below /sys and /proc/sys that usher's programs made
writes_of() {
	whole_calls "$1" | grep -v -e /sys/fs/cgroup -e 'proc/self' |
		sed -n 's/^[0-9]* *write([0-9]*<\(\/\(sys\|proc\/sys\)[^>]*\)>, "\(.*\)", [0-9]*) *= .*/\1 \3/p' |
		sed 's/\\n$//' | by_object
}

# writes_planned FILE VERB... - the same of what plan printed there, its paths as the kernel resolves
# them now
writes_planned() {
	jq -r '.steps[] | select(.verb | IN($ARGS.positional[])) | .writes[]' "$1" --args "${@:2}" |
		while read -r verb path value; do
			[[ $verb == write ]] || continue
			[[ $value != '""' ]] || value=''
			echo "$(realpath -m "$path") $value"
		done | by_object
}

# All by which a program can change a host: files and what they are, mounts, modules, other processes
readonly changes=write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,fallocate,truncate,ftruncate,\
openat,openat2,open,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,rmdir,unlink,unlinkat,link,linkat,\
symlink,symlinkat,chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,utimensat,setxattr,lsetxattr,fsetxattr,\
removexattr,lremovexattr,fremovexattr,mount,umount2,move_mount,pivot_root,swapon,swapoff,init_module,finit_module,\
delete_module,reboot,kill,tgkill,tkill,pidfd_send_signal,ptrace,process_vm_writev,setpriority,ioprio_set,prlimit64,\
sched_setaffinity,sched_setscheduler,sched_setattr,setns,unshare,bpf,ioctl,sendmsg,sendmmsg,sendto

# plan_writes_nothing ARG... - run usher plan under strace, its output into the file "plan": it changes
# nothing but one folder of its own below /tmp
plan_writes_nothing() {
	local calls=$BATS_TEST_TMPDIR/plan.calls left
	strace -f -y -x -s 400 -o "$calls" -e "trace=$changes" usher plan --json "$@" >"$BATS_TEST_TMPDIR/plan"
	# Opened to be read, or not there; its own output and its programs', in memory; signals to and
	# limits of itself; questions: to the daemon, the bus and the journal, what a terminal is, what a
	# monitor can (calls_of() and orders_of() below know the orders among these)
	left=$(whole_calls "$calls" | sed 's/^[0-9]* *//' |
		awk '/^open/ && !/O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE/ { next } { print }' |
		grep -vE -e '^(\+\+\+|---)' -e ENOENT \
			-e '^[a-z0-9]+\([0-9]+<(pipe|anon_inode|socket|UNIX|NETLINK|TCP|/memfd):' \
			-e '^[a-z0-9]+\([0-9]+</dev/(null|pts/)' -e '"/dev/null", O_RDWR' \
			-e '^write\([12]<' -e '/tmp/usher\.' -e '^prlimit64\([^,]*, [^,]*, NULL' \
			-e '^ioctl\([0-9]+<[^>]*>, (TCGETS|KDGETMODE)' -e '^openat2\([^"]*"dev/i2c-' -e '^write\([0-9]+</dev/i2c-' \
			-e '^ioctl\([0-9]+</dev/i2c-[0-9]+>, _IOC\(_IOC_NONE, 0x7, 0x[35], 0\)') || true
	assert_equal "$left" ""
	assert_equal "$(calls_of "$calls")" ""
	assert_equal "$(orders_of "$calls")" ""
}

# What was called by D-Bus, but for questions, and what irqbalance was told. A message has its method's
# name in the header's field 3: D-Bus specification, message format
orders_of() {
	# shellcheck disable=SC2016 # perl's own
	whole_calls "$1" | perl -ne '
		next unless /^\d+ +(?:sendm?msg|sendto|writev?)\(\d+<(?:socket|UNIX)/;
		my $data = join "", map { /^\\x/ ? pack("H*", s/\\x//gr) : $_ } /"((?:[^"\\]|\\.)*)"/g;
		print "call $1\n" while $data =~ /\x03\x01s\0....([A-Za-z_]\w*)\0/sg;
		print "tell irqbalance: $1\n" if $data =~ /^(settings .*)/;' |
		grep -vxE 'call (Hello|Ping|Introspect|AddMatch|RemoveMatch|NameHasOwner|(Get|List)[A-Za-z]*)' | sort
}

# grown - a pool that grows in several steps, as the kernel is quick or slow, as if it had been one
grown() {
	awk '{ line[NR] = $0 }
		/nr_hugepages/ && $2 != 0 {
			if ($1 in first) delete line[NR]; else first[$1] = NR
			line[first[$1]] = $0
		}
		END { for (i = 1; i <= NR; i++) if (i in line) print line[i] }'
}

@test "what plan prints is what the following start writes, and plan itself writes nothing" {
	local trace=$BATS_TEST_TMPDIR/trace tracer
	guest_define walk memory=64 pages=2048 vcpus=2 pins="2 3" emulator=0-1 device="$GPU" \
		device="$AUDIO" device="$NIC"
	policy walk
	modprobe vfio-pci

	plan_writes_nothing walk
	# Of the CPUs: below
	writes_planned "$BATS_TEST_TMPDIR/plan" apply settle | grep -e /pci -e hugepages | grown >"$BATS_TEST_TMPDIR/planned"
	grep -qE '/nr_hugepages(_mempolicy)? 0$' "$BATS_TEST_TMPDIR/planned" || fail "$(<"$BATS_TEST_TMPDIR/planned")"
	tracer_start
	guest_start walk
	tracer_stop
	# What libvirt's own start writes there is not usher's. QEMU has taken all the pages there are, so
	# where it takes which does not matter to how started gives the pools back
	writes_of "$trace" | grep -e /pci -e hugepages | grown >"$BATS_TEST_TMPDIR/made"
	[[ -s $BATS_TEST_TMPDIR/planned ]] || fail "plan printed no write"
	diff "$BATS_TEST_TMPDIR/planned" "$BATS_TEST_TMPDIR/made"

	plan_writes_nothing walk release
	# vfio-pci has changed power/control, and puts it back itself: Seen on: Linux 6.12
	writes_planned "$BATS_TEST_TMPDIR/plan" undo | grep /pci | grep -v power/control >"$BATS_TEST_TMPDIR/planned"
	assert_contains "$(cat "$BATS_TEST_TMPDIR/planned")" "/sys/bus/pci/drivers_probe $GPU"
	tracer_start
	guest_destroy walk
	wait_for 30 not test -e "/run/usher/$(guest_uuid walk)"
	tracer_stop
	writes_of "$trace" | grep /pci | grep -v power/control >"$BATS_TEST_TMPDIR/made"
	diff "$BATS_TEST_TMPDIR/planned" "$BATS_TEST_TMPDIR/made"
	host_unchanged 30
}

# "PATH VALUE" of each write of usher-cpuset's, in any order: also what the kernel refuses, an interrupt's
# driver may have chosen its CPUs
cpuset_writes() {
	whole_calls "$1" | awk '/ execve\(/ { name[$1] = match($0, /usher-[a-z]+/) ? substr($0, RSTART, RLENGTH) : "" }
		/ write\(/ && name[$1] == "usher-cpuset"' |
		sed -n 's/\\\\/\\/g; s/\\n", [0-9]*) *= /", 0) = /
		s/^[0-9]* *write([0-9]*<\(\/\(sys\|proc\/irq\|proc\/sys\)[^>]*\)>, "\(.*\)", [0-9]*) *= .*/\1 \3/p' |
		sort
}

# What usher-hugepages wrote, in its order, and at last what each pool has come to: how much is reclaimed,
# in which pieces, and in how many steps a pool grows depends on the moment; a kernel before 6.9 wants
# the number to be reclaimed written anew without a word. At last the pools go back down, which is left out
memory_writes() {
	whole_calls "$1" | sed -n 's/^[0-9]* *write([0-9]*<\([^>]*\)>, "\(.*\)", [0-9]*) *= .*/\1 \2/p' |
		sed 's/\\n$//' | grep -vE '/nr_hugepages(_mempolicy)? 0$' | of_memory
}

of_memory() {
	grep -E '/(memory.reclaim|drop_caches|reclaim|compact|nr_hugepages(_mempolicy)?) ' |
		sed -e 's/ [0-9]*K$/ NK/' -e 's/ [0-9]*K swappiness=0$/ NK/' | uniq |
		awk '!/nr_hugepages/ { print; next }
			!($1 in size) { pools[++n] = $1 }
			{ size[$1] = $2 }
			END { for (i = 1; i <= n; i++) print pools[i], size[pools[i]] }'
}

@test "what plan prints of memory that has to be made free is what the start does" {
	local trace=$BATS_TEST_TMPDIR/trace tracer cache=/var/tmp/cache
	guest_define walk memory=600 pages=2048
	# Traced, all takes its time
	policy walk '[hugepages]' 'timeout = 120s'
	# Page cache in all of the memory, twice read so that it counts as used
	truncate -s "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)K" "$cache"
	cat "$cache" "$cache" >/dev/null
	plan_writes_nothing walk prepare
	jq -r '.steps[] | select(.step == "hugepages" and .verb == "apply") | .writes[]' "$BATS_TEST_TMPDIR/plan" |
		sed -n 's/^write //p' | of_memory >"$BATS_TEST_TMPDIR/planned"
	grep -qE '/(memory.reclaim|reclaim) ' "$BATS_TEST_TMPDIR/planned"
	grep -q '/compact 1' "$BATS_TEST_TMPDIR/planned"
	tracer_start
	guest_start walk
	tracer_stop
	memory_writes "$trace" | diff "$BATS_TEST_TMPDIR/planned" -
	rm "$cache"
	guest_destroy walk
	host_unchanged 30
}

# cpuset_planned FILE - what plan printed there of the writes for the CPUs
cpuset_planned() {
	jq -r '.steps[] | select(.step == "cpuset" and .verb == "apply") | .writes[]' "$1" |
		sed -n 's/^write //p' | sort
}

# handlers - the interrupts there are, each with who handles it
handlers() {
	(cd /proc/irq && find . -mindepth 2 -maxdepth 2 -type d | sort)
}

# comparable LASTING - without the interrupts that are not in that list of handlers(), which came or went
# with the guest's devices, with the guest's scope as plan has it before there is one, and without the
# cursor: up to Linux 6.16 one that blinks is said to be still until its next blink is due
comparable() {
	sed 's|/machine-qemu[^/]*\.scope/|/<scope>/|' |
		awk -F / 'FNR == NR { lasting[$2] = 1; next }
			$2 == "proc" && $3 == "irq" && $4 ~ /^[0-9]+$/ && !($4 in lasting) { next }
			/\/cursor_blink / { next }
			{ print }' "$1" - | sort
}

# The scope's name is to come, and so are the interrupts that QEMU brings; once it runs, plan has all
@test "what plan prints of the CPUs, before the start and after, is what the start writes" {
	local trace=$BATS_TEST_TMPDIR/trace claim tracer
	guest_define walk memory=32 vcpus=2 pins="2 3" emulator=0-1 device="$NIC"
	# Traced, all takes its time
	policy walk '[cpuset]' 'timeout = 20s'
	plan_writes_nothing walk
	cpuset_planned "$BATS_TEST_TMPDIR/plan" >"$BATS_TEST_TMPDIR/ahead"
	grep -qF '/machine.slice/<scope>/libvirt/vcpu1/cpuset.cpus.partition isolated' "$BATS_TEST_TMPDIR/ahead"
	handlers >"$BATS_TEST_TMPDIR/handlers"
	tracer_start -y -s 200 -e trace=write,execve
	guest_start walk
	wait_for 20 alone_are 2-3
	tracer_stop
	handlers | comm -12 "$BATS_TEST_TMPDIR/handlers" - >"$BATS_TEST_TMPDIR/lasting"
	cpuset_writes "$trace" >"$BATS_TEST_TMPDIR/started"
	comparable "$BATS_TEST_TMPDIR/lasting" <"$BATS_TEST_TMPDIR/ahead" >"$BATS_TEST_TMPDIR/foretold"
	comparable "$BATS_TEST_TMPDIR/lasting" <"$BATS_TEST_TMPDIR/started" | diff "$BATS_TEST_TMPDIR/foretold" -
	grep -q '^/proc/irq/[0-9]' "$BATS_TEST_TMPDIR/foretold"
	claim=/run/usher/$(guest_uuid walk)/claim.ini
	usher-cpuset undo "$claim"
	assert_equal "$(cat /sys/fs/cgroup/cpuset.cpus.isolated)" ""
	plan_writes_nothing walk started
	cpuset_planned "$BATS_TEST_TMPDIR/plan" >"$BATS_TEST_TMPDIR/planned"
	strace -f -y -s 200 -e trace=write,execve -o "$trace" usher-cpuset apply "$claim"
	assert_equal "$(cat /sys/fs/cgroup/cpuset.cpus.isolated)" 2-3
	(($(wc -l <"$BATS_TEST_TMPDIR/planned") > 3)) || fail "$(<"$BATS_TEST_TMPDIR/planned")"
	cpuset_writes "$trace" | diff "$BATS_TEST_TMPDIR/planned" -
	diff "$BATS_TEST_TMPDIR/planned" "$BATS_TEST_TMPDIR/started"
	guest_destroy walk
	host_unchanged 30
}

# tracer_start [OPTION...] - all that the daemon's hooks write from now on, into $trace
tracer_start() {
	(($# > 0)) || set -- -y -s 200 -e trace=write
	strace -f "$@" -o "$trace" -p "$(cat /run/libvirtd.pid)" &
	tracer=$!
	wait_for 10 grep -q "^TracerPid:.*$tracer" "/proc/$(cat /run/libvirtd.pid)/status"
}

tracer_stop() {
	kill -INT "$tracer"
	wait "$tracer" || true
}

# Inputs written by DDC/CI (Set VCP Feature, 0x60), and services that systemd was asked to start
calls_of() {
	# shellcheck disable=SC2016 # perl's own
	perl -ne '
		my ($bus) = /write\(\d+<\/dev\/i2c-(\d+)/;
		next unless defined $bus or /sendmsg\(/;
		# A string is in hex when not all of it can be printed
		my $data = join "", map { /^\\x/ ? pack("H*", s/\\x//gr) : $_ } /"((?:[^"\\]|\\.)*)"/g;
		if (defined $bus) {
			print "input ", unpack("n", $1), " on i2c-$bus\n" if $data =~ /^.\x84\x03\x60(..)/s;
		} elsif ($data =~ /StartTransientUnit/ and $data =~ /(usher-[-\w]+\.service)/) {
			print "start $1\n";
		}' "$1" | sort
}

# The same of what plan printed; the bus is that of the guest's only monitor
calls_planned() {
	jq -r --arg verb "$2" '.steps[] | select(.verb == $verb) | .writes[]' "$1" |
		sed -n -e "s/^write input \([0-9]*\) to .*/input \1 on i2c-$3/p" -e 's/^\(start [^ ]*\) until .*/\1/p' | sort
}

monitor_shows() {
	[[ $(monitor_input "$1") == "$2" ]]
}

@test "what plan prints of monitors and of the host's sleep is what the start does, and its end" {
	local trace=$BATS_TEST_TMPDIR/trace bus tracer unit
	local options=(-y -x -s 400 -e 'trace=write,sendmsg')
	modprobe i2c-dev
	monitor_add name=desk "cable=$HOST_GPU,0x0f" mfg=DEL product=0xa0c4 serial=JK9X
	bus=$(grep -l -x "lab monitor desk input 0x0f" /sys/bus/i2c/devices/i2c-*/name)
	bus=${bus%/name}
	bus=${bus##*-}
	host_before
	guest_define walk memory=32
	policy walk '[display]' 'monitor = DEL:a0c4' 'guest_input = hdmi1' 'host_input = dp1' 'delay = 0'
	unit=usher-nosleep-$(guest_uuid walk).service

	plan_writes_nothing walk
	calls_planned "$BATS_TEST_TMPDIR/plan" apply "$bus" >"$BATS_TEST_TMPDIR/planned"
	assert_equal "$(xargs <"$BATS_TEST_TMPDIR/planned")" "input 17 on i2c-$bus start $unit"
	tracer_start "${options[@]}"
	guest_start walk
	wait_for 20 monitor_shows desk 0x11
	tracer_stop
	calls_of "$trace" | diff "$BATS_TEST_TMPDIR/planned" -
	systemctl is-active "$unit"

	plan_writes_nothing walk
	assert_contains "$(jq -r '.steps[].writes[]' "$BATS_TEST_TMPDIR/plan")" "end $unit"
	calls_planned "$BATS_TEST_TMPDIR/plan" undo "$bus" >"$BATS_TEST_TMPDIR/planned"
	assert_equal "$(cat "$BATS_TEST_TMPDIR/planned")" "input 15 on i2c-$bus"
	tracer_start "${options[@]}"
	guest_destroy walk
	wait_for 20 not test -e "/run/usher/$(guest_uuid walk)"
	tracer_stop
	calls_of "$trace" | diff "$BATS_TEST_TMPDIR/planned" -
	wait_for 10 not systemctl is-active "$unit"
	host_unchanged 30
}

@test "a tree of VFIO-Tools' scripts goes on working, and init finds it" {
	local tree=/etc/libvirt/hooks/qemu.d/walk phase from
	from=$(date +%s)
	for phase in prepare/begin start/begin started/begin stopped/end release/end; do
		mkdir -p "$tree/$phase"
		# shellcheck disable=SC2016 # for the script itself
		printf '#!/bin/bash\necho "$@" "$(grep -c "<name>walk</name>")" >>/run/walk.told\necho said "$2"\n' \
			>"$tree/$phase/10-tell.sh"
		chmod 755 "$tree/$phase/10-tell.sh"
	done
	printf '%s\n' 'echo 64 >/proc/sys/vm/nr_hugepages' 'virsh nodedev-detach pci_0000_01_00_0' \
		'systemctl stop display-manager' >"$tree/prepare/begin/20-pages.sh"
	chmod 755 "$tree/prepare/begin/20-pages.sh"
	guest_define walk memory=32 device="$NIC"
	run -1 usher check walk
	run -0 usher init walk
	assert_contains "$(cat "$policies/walk.ini")" "run = yes"
	assert_contains "$(cat "$policies/walk.ini")" \
		"# $tree/prepare/begin/20-pages.sh: it does huge pages, as usher does: take that out"
	assert_contains "$(cat "$policies/walk.ini")" \
		"# the scripts below name $GPU, too, which is not in the guest's XML: add it there"
	assert_contains "$(cat "$policies/walk.ini")" \
		"# $tree/prepare/begin/20-pages.sh ends the host's desktop"
	rm -f "$tree/prepare/begin/20-pages.sh"
	guest_start walk
	guest_destroy walk
	wait_for 10 grep -q release /run/walk.told
	assert_equal "$(cut -d ' ' -f 1-3 /run/walk.told | xargs)" \
		"walk prepare begin walk start begin walk started begin walk stopped end walk release end"
	# Each was given the XML, as by the hook that such trees come from
	assert_equal "$(awk '{ print $NF }' /run/walk.told | xargs)" "1 1 1 1 1"
	run -0 usher log walk
	assert_contains "$output" "10-tell.sh: said stopped"

	printf '#!/bin/sh\necho no such thing >&2\nexit 3\n' >"$tree/prepare/begin/10-tell.sh"
	start_refused walk "usher: walk: script $tree/prepare/begin/10-tell.sh failed with status 3: no such thing: mend it, or set run = no in [scripts] of the policy"
	assert_equal "$(failures_of walk "$from")" "prepare scripts prepare"
	rm -r /etc/libvirt/hooks/qemu.d /run/walk.told
	host_unchanged
}

@test "edit installs what parses, and nothing else" {
	policy walk '[guest]'
	EDITOR='sed -i s/guest/gest/' run -1 usher edit walk </dev/null
	assert_contains "$output" "$policies/walk.ini:1: unknown section [gest]: did you mean [guest]?"
	assert_equal "$(cat "$policies/walk.ini")" "[guest]"
	# shellcheck disable=SC2016 # sed's last line
	EDITOR='sed -i $a\enabled=no' run -0 usher edit walk </dev/null
	assert_equal "$(tail -n 1 "$policies/walk.ini")" "enabled=no"
	assert_equal "$(stat -c '%a %U' "$policies/walk.ini")" "644 root"
	assert_equal "$(find "$policies" -name '.*' -type f)" ""
	host_unchanged
}
