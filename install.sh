#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# install.sh - install usher, take it off again, show it, test it
set -euo pipefail
umask 022

# What the caller names is relative to where the caller is
[[ -z ${DESTDIR-} || $DESTDIR == /* ]] || DESTDIR=$PWD/$DESTDIR
[[ -z ${BUILD_DIR-} || $BUILD_DIR == /* ]] || BUILD_DIR=$PWD/$BUILD_DIR
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

usage() {
	cat <<'END'
usage: ./install.sh VERB

  demo [--break N]  play a guest's whole life on a sample host and show what changes and comes
                    back; needs no special hardware and changes nothing on this host.
                    --break N: the N-th write to the host fails
  check             run the tests: lint, unit tests, fuzzers, and of the lab's scenarios those that
                    fit the time there is; make lab-all runs all of them
  install           build and install; DESTDIR, prefix, sysconfdir as usual,
                    BUILD_DIR=DIR for programs that are built already
  uninstall         take off what install put there, and nothing else

demo, check and install bring the packages they need (Debian; with root rights).
END
}

say() {
	echo "install.sh: $*"
}

warn() {
	echo "install.sh: warning: $*" >&2
}

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# --- Packages ----------------------------------------------------------------------------------
# One row a need. The columns of Ubuntu, Fedora and Arch are not tested; "-" is in another package.
#      for   Debian             Ubuntu             Fedora                Arch
readonly package_table='
	build  gcc                gcc                gcc                   gcc
	build  libc6-dev          libc6-dev          glibc-static          glibc
	build  make               make               make                  make
	build  pkg-config         pkg-config         pkgconf-pkg-config    pkgconf
	build  libxml2-dev        libxml2-dev        libxml2-static        libxml2
	build  zlib1g-dev         zlib1g-dev         zlib-static           zlib
	build  liblzma-dev        liblzma-dev        xz-static             xz
	build  libicu-dev         libicu-dev         libicu-devel          icu
	build  libinih-dev        libinih-dev        inih-devel            libinih
	build  libpci-dev         libpci-dev         pciutils-devel        pciutils
	build  libcgroup-dev      libcgroup-dev      libcgroup-devel       libcgroup
	build  libsystemd-dev     libsystemd-dev     systemd-devel         systemd-libs
	build  libvirt-dev        libvirt-dev        libvirt-devel         libvirt
	build  libhwloc-dev       libhwloc-dev       hwloc-devel           hwloc
	test   git                git                git                   git
	test   clang              clang              clang                 clang
	test   clang-tidy         clang-tidy         clang-tools-extra     -
	test   clang-format       clang-format       -                     -
	test   llvm               llvm               llvm                  llvm
	test   cppcheck           cppcheck           cppcheck              cppcheck
	test   shellcheck         shellcheck         ShellCheck            shellcheck
	test   mandoc             mandoc             mandoc                mandoc
	test   bats               bats               bats                  bats
	test   libcmocka-dev      libcmocka-dev      libcmocka-devel       cmocka
	test   dbus               dbus               dbus-daemon           dbus
	test   bsdutils           bsdutils           util-linux-script     util-linux
	test   diffutils          diffutils          diffutils             diffutils
	test   procps             procps             procps-ng             procps-ng
	test   jq                 jq                 jq                    jq
	test   debhelper          debhelper          debhelper             -
	test   lintian            lintian            -                     -'

declare -rA distro_column=([debian]=2 [ubuntu]=3 [fedora]=4 [arch]=5)

# ID first, then what it is like: "linuxmint" is like "ubuntu debian"
distro() {
	local ID='' ID_LIKE='' name
	# shellcheck source=/dev/null
	[[ ! -r /etc/os-release ]] || . /etc/os-release
	for name in $ID $ID_LIKE; do
		if [[ -n ${distro_column[$name]-} ]]; then
			echo "$name"
			return
		fi
	done
}

packages_for() {
	local name=$1
	shift
	awk -v purposes=" $* " -v column="${distro_column[$name]}" \
		'index(purposes, " " $1 " ") && $column != "-" { print $column }' <<<"$package_table"
}

has_package() {
	case $1 in
	debian | ubuntu)
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$2" 2>/dev/null) == installed ]]
		;;
	fedora) rpm -q "$2" >/dev/null 2>&1 ;;
	arch) pacman -Q "$2" >/dev/null 2>&1 ;;
	esac
}

install_packages() {
	local name=$1
	shift
	case $name in
	debian | ubuntu)
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq update &&
			apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
		;;
	fedora) dnf install -y "$@" ;;
	arch) pacman -S --needed --noconfirm "$@" ;;
	esac
}

# Run something whose output matters only when it fails
quietly() {
	local what=$1 log
	shift
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "cannot $what"
	fi
	rm -f "$log"
}

# Nothing is asked of the network when all is there
need() {
	local name package missing=()
	name=$(distro)
	if [[ -z $name ]]; then
		warn "this distribution is not known: see the packages in install.sh"
		return
	fi
	for package in $(packages_for "$name" "$@"); do
		has_package "$name" "$package" || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	((EUID == 0)) || die "run it as root once, or install these packages: ${missing[*]}"
	[[ $name == debian ]] || warn "the package names for $name have not been tested"
	say "installing ${missing[*]}"
	quietly "install packages" install_packages "$name" "${missing[@]}"
}

# --- demo, check --------------------------------------------------------------------------------

run_demo() {
	local build=${BUILD_DIR:-build}
	need build
	if [[ -z ${BUILD_DIR-} ]]; then
		say "building"
		quietly build make -s -j2 O="$build" fake
	fi
	test/demo/play "$build/fake" "$@"
}

run_check() {
	need build test
	make -s test
}

# --- Where things go ----------------------------------------------------------------------------

set_places() {
	prefix=${prefix:-/usr}
	sysconfdir=${sysconfdir:-/etc}
	DESTDIR=${DESTDIR:-}
	sbindir=${sbindir:-$prefix/sbin}
	mandir=${mandir:-$prefix/share/man}
	docdir=${docdir:-$prefix/share/doc/usher}
	unitdir=${unitdir:-$prefix/lib/systemd/system}
	completiondir=${completiondir:-$prefix/share/bash-completion/completions}
	manifest=$prefix/lib/usher/manifest
	hooksdir=$sysconfdir/libvirt/hooks
	confdir=$sysconfdir/usher
	[[ -z $DESTDIR || -d $DESTDIR ]] || mkdir -p -- "$DESTDIR"
}

# Root's own system, not a package being made
is_live() {
	[[ -z $DESTDIR ]]
}

need_root() {
	! is_live || ((EUID == 0)) || die "$1 writes below $prefix and $sysconfdir: run it as root"
}

# --- The manifest --------------------------------------------------------------------------------
# Lines "KIND PATH WHAT": f file, its sha256; c file that is the admin's to change, the sha256 it came
# with; l link, its target; d directory that was made. PATH is without DESTDIR.

new_manifest=() old_manifest=()

record() {
	new_manifest+=("$*")
}

sum_of() {
	local sum
	sum=$(sha256sum <"$1")
	echo "${sum%% *}"
}

# What an earlier install recorded of a path: "KIND WHAT"
recorded() {
	local line kind path what
	for line in "${old_manifest[@]}"; do
		read -r kind path what <<<"$line"
		[[ $path != "$1" ]] || echo "$kind $what"
	done
}

# Everything is put twice: the first time only what lies there is looked at
checking=''

there_is() {
	[[ -e $DESTDIR$1 || -L $DESTDIR$1 ]]
}

# is_copy PATH - the program itself in the hook's place, of whatever version: lib/hookdir.h has its mark.
# What a link leads to in a package being made is not known here
is_copy() {
	local path=$DESTDIR$1
	[[ -f $path ]] && { is_live || [[ ! -L $path ]]; } || return 1
	cmp -s -n 4 -- "$path" - <<<$'\177ELF' &&
		grep -qaF -- "usher: this is libvirt's hook for QEMU guests;" "$path"
}

# calls_usher PATH - a script of the admin's own that runs usher-hook itself: lib/hookdir.c looks the same way
calls_usher() {
	local path=$DESTDIR$1
	[[ -f $path && -x $path ]] && cmp -s -n 2 -- "$path" - <<<'#!' &&
		grep -qaE -- '^[[:blank:]]*([^#[:blank:]].*)?usher-hook' "$path"
}

# Nobody's file is replaced, unless it is what would come there anyway
check_place() {
	local kind=$1 path=$2 what=$3
	there_is "$path" && [[ -z $(recorded "$path") ]] || return 0
	[[ $kind != l ]] || ! is_copy "$path" || return 0
	is_ours "$kind" "$path" "$what" ||
		die "$DESTDIR$path is there already and not from install.sh: move it away;" \
			"nothing has been installed"
}

make_dir() {
	local dir=$1 mode=${2:-0755}
	[[ ! -d $DESTDIR$dir ]] || return 0
	! there_is "$dir" || die "$DESTDIR$dir is no directory: move it away"
	[[ ${dir%/*} == "" ]] || make_dir "${dir%/*}"
	[[ -z $checking ]] || return 0
	mkdir -m "$mode" -- "$DESTDIR$dir"
	record d "$dir"
}

# A running program's file is replaced, never written to
put() {
	local from=$1 to=$2 mode=$3
	make_dir "${to%/*}"
	if [[ -n $checking ]]; then
		check_place f "$to" "$(sum_of "$from")"
		return
	fi
	install -m "$mode" -- "$from" "$DESTDIR$to.new"
	mv -fT -- "$DESTDIR$to.new" "$DESTDIR$to"
	record f "$to" "$(sum_of "$from")"
}

# The admin's file stays as it is; one that nobody has touched follows the new version
put_config() {
	local from=$1 to=$2 kind what
	[[ -z $checking ]] || return 0
	read -r kind what <<<"$(recorded "$to")"
	if [[ ! -e $DESTDIR$to ]] || is_ours "${kind:-none}" "$to" "$what"; then
		put "$from" "$to" 0644
		unset 'new_manifest[-1]'
	else
		cmp -s -- "$from" "$DESTDIR$to" || say "kept $to as it is"
	fi
	record c "$to" "$(sum_of "$from")"
}

put_link() {
	local target=$1 to=$2
	make_dir "${to%/*}"
	if [[ -n $checking ]]; then
		check_place l "$to" "$target"
		return
	fi
	ln -sfn -- "$target" "$DESTDIR$to.new"
	mv -fT -- "$DESTDIR$to.new" "$DESTDIR$to"
	record l "$to" "$target"
}

# Is what lies at PATH still what the manifest's line says
is_ours() {
	local kind=$1 path=$DESTDIR$2 what=${3-}
	case $kind in
	f | c) [[ -f $path && ! -L $path && $(sum_of "$path") == "$what" ]] ;;
	l) [[ -L $path && $(readlink -- "$path") == "$what" ]] ;;
	d) [[ -d $path && ! -L $path ]] ;;
	*) return 1 ;;
	esac
}

# Directories that other files have come into stay
take_off() {
	local kind=$1 path=$2 what=${3-}
	there_is "$path" || return 0
	if ! is_ours "$kind" "$path" "$what"; then
		say "kept $path: it has been changed since it was installed"
	elif [[ $kind == d ]]; then
		rmdir -- "$DESTDIR$path" 2>/dev/null || true
	else
		rm -f -- "$DESTDIR$path"
	fi
}

read_manifest() {
	old_manifest=()
	[[ ! -e $DESTDIR$manifest ]] || mapfile -t old_manifest <"$DESTDIR$manifest"
}

# What an older version had and this one has not. Directories stay on record.
drop_obsolete() {
	local line kind path what
	for line in "${old_manifest[@]}"; do
		read -r kind path what <<<"$line"
		[[ " ${new_manifest[*]} " != *" $path "* ]] || continue
		[[ $kind == d ]] || take_off "$kind" "$path" "$what"
		[[ $kind != [dc] ]] || record "$line"
	done
}

write_manifest() {
	make_dir "${manifest%/*}"
	printf '%s\n' "${new_manifest[@]}" >"$DESTDIR$manifest.new"
	mv -fT -- "$DESTDIR$manifest.new" "$DESTDIR$manifest"
}

# --- install --------------------------------------------------------------------------------------

build_programs() {
	[[ -n ${BUILD_DIR-} ]] && return
	need build
	BUILD_DIR=build
	say "building"
	quietly build make -s -j2 O="$BUILD_DIR" prefix="$prefix" sbindir="$sbindir" \
		sysconfdir="$sysconfdir" all
}

# The hook has its helpers' place built in
check_programs() {
	local hook=$BUILD_DIR/usher-hook
	[[ -x $hook ]] || die "no usher-hook in $BUILD_DIR: run make first"
	grep -qazFx -- "$sbindir" "$hook" ||
		die "$hook was not built for $sbindir: run make prefix=$prefix sbindir=$sbindir first"
}

put_programs() {
	local program
	for program in "$BUILD_DIR"/usher "$BUILD_DIR"/usher-*; do
		[[ -f $program && -x $program ]] || continue
		put "$program" "$sbindir/${program##*/}" 0755
	done
}

put_pages() {
	local page
	while IFS= read -r page; do
		put "$page" "$mandir/man${page##*.}/${page##*/}" 0644
	done < <(find hooks helpers conf.d -name '*.[58]' | sort)
}

# libvirt's version as MAJOR.MINOR, "" when there is no daemon to ask
libvirt_version() {
	local daemon out
	for daemon in virtqemud libvirtd; do
		out=$("$daemon" --version 2>/dev/null) || continue
		[[ $out =~ ([0-9]+)\.([0-9]+) ]] || continue
		echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
		return
	done
}

# manifest_of PROGRAM - of the install that put it there: its prefix is some directory above
manifest_of() {
	local dir=${1%/*}
	while [[ -n $dir ]]; do
		dir=${dir%/*}
		[[ ! -e $DESTDIR$dir/lib/usher/manifest ]] || echo "$dir/lib/usher/manifest"
	done
}

# Two of them would both answer to libvirt, and one would undo what the other does
check_alone() {
	local link target other others=(/usr/lib/usher/manifest /usr/local/lib/usher/manifest)
	for link in "$hooksdir/qemu" "$hooksdir/qemu.d/usher"; do
		target=$(readlink -- "$DESTDIR$link") || continue
		[[ $target == /*/usher-hook && $target != "$sbindir/usher-hook" ]] || continue
		other=$(manifest_of "$target")
		[[ -n $other ]] ||
			die "$DESTDIR$link leads to $target, which is not from install.sh: take that off first"
		others+=("$other")
	done
	for other in "${others[@]}"; do
		[[ $other != "$manifest" ]] || continue
		grep -qsF -- " $hooksdir/" "$DESTDIR$other" || continue
		other=${other%/lib/usher/manifest}
		die "usher is installed below $other: take that off first with" \
			"prefix=$other ./install.sh uninstall"
	done
}

# Where the hook goes, "" where a hook of the admin's own calls it. Another hook keeps its place: libvirt 6.5
# and later read qemu.d beside it
find_hook_place() {
	local kind what major minor
	hook=$hooksdir/qemu
	there_is "$hook" || return 0
	read -r kind what <<<"$(recorded "$hook")"
	[[ $(readlink -- "$DESTDIR$hook") != "$sbindir/usher-hook" ]] || return 0
	! is_ours "${kind:-none}" "$hook" "$what" || return 0
	if is_copy "$hook"; then
		say "$hook is a copy of usher-hook: it becomes a link to $sbindir/usher-hook," \
			"so that both are of one version"
		return
	fi
	if calls_usher "$hook"; then
		say "$hook is a hook of your own that calls usher-hook: it stays, and usher becomes no hook beside it"
		hook=''
		return
	fi
	read -r major minor <<<"$(libvirt_version)" || true
	if [[ -n $major ]] && ((major < 6 || (major == 6 && minor < 5))); then
		die "$hook is another hook, and libvirt $major.$minor reads no qemu.d beside it:" \
			"let it end with: [ ! -x $sbindir/usher-hook ] || exec $sbindir/usher-hook \"\$@\"" \
			"(its input unread), then install again"
	fi
	hook=$hooksdir/qemu.d/usher
	say "$hooksdir/qemu is another hook and stays: usher becomes $hook," \
		"which libvirt runs after it"
}

# Another place that runs the program would do every step a second time
check_copies() {
	local path what
	for path in "$DESTDIR$hooksdir"/qemu.d/*; do
		path=${path#"$DESTDIR"}
		[[ -x $DESTDIR$path && ! -L $DESTDIR$path && $path != "$hook" ]] || continue
		if is_copy "$path"; then
			what="is a copy of"
		elif calls_usher "$path"; then
			what="calls"
		else
			continue
		fi
		die "$DESTDIR$path $what usher-hook, and every step would run twice:" \
			"move it away; nothing has been installed"
	done
}

put_completion() {
	put helpers/usher/usher.bash-completion "$completiondir/usher" 0644
}

put_unit() {
	local daemon unit=usher-recover.service
	filled=$(mktemp)
	sed "s|/usr/sbin/|$sbindir/|" "helpers/usher/$unit" >"$filled"
	put "$filled" "$unitdir/$unit" 0644
	rm -f -- "$filled"
	for daemon in libvirtd virtqemud; do
		put_link "../$unit" "$unitdir/$daemon.service.wants/$unit"
	done
}

put_configs() {
	make_dir "$confdir"
	make_dir "$confdir/conf.d"
	put_config conf.d/usher.ini "$confdir/usher.ini"
	put conf.d/example.ini "$docdir/example.ini" 0644
}

# Whether there is a hook at all is looked up at a daemon's start and reload
reload_daemons() {
	local daemon
	is_live && [[ -d /run/systemd/system ]] || return 0
	systemctl daemon-reload
	for daemon in virtqemud libvirtd; do
		systemctl -q is-active "$daemon.service" || continue
		if systemctl reload "$daemon.service"; then
			say "$daemon reloaded"
		else
			warn "cannot reload $daemon: restart it, or guests start without usher"
		fi
	done
}

# What may keep libvirt from running the hook
check_confinement() {
	[[ $sbindir == /usr/sbin || $sbindir == /usr/bin ]] ||
		warn "AppArmor lets libvirt run nothing from $sbindir: guests will not start where it" \
			"is enforced; use prefix=/usr"
	is_live || return 0
	[[ $(getenforce 2>/dev/null) == Enforcing ]] || return 0
	restorecon -RF "$sbindir"/usher* "$hooksdir" "$confdir" 2>/dev/null || true
	say "SELinux enforces: usher check says whether it confines the hook"
}

# dpkg's own, or two copies would do everything twice
refuse_package() {
	is_live || return 0
	! has_package debian usher 2>/dev/null ||
		die "the package usher is installed here: apt remove usher first"
}

filled='' installing=''

# What a failed install has put there can be taken off, too, and so can what it had not come to yet
finish() {
	local line kind path what
	[[ -z $filled ]] || rm -f -- "$filled"
	[[ -n $installing ]] || return 0
	for line in "${old_manifest[@]}"; do
		read -r kind path what <<<"$line"
		[[ " ${new_manifest[*]} " == *" $path "* ]] || record "$line"
	done
	write_manifest
}

put_all() {
	put_programs
	put_pages
	put_completion
	put_unit
	put_configs
	[[ -z $hook ]] || put_link "$sbindir/usher-hook" "$hook"
}

do_install() {
	set_places
	need_root install
	refuse_package
	check_alone
	build_programs
	check_programs
	read_manifest
	find_hook_place
	check_copies
	trap finish EXIT
	checking=yes
	put_all
	checking='' installing=yes
	put_all
	say "programs in $sbindir"
	drop_obsolete
	write_manifest
	trap - EXIT
	reload_daemons
	check_confinement
	say "done: usher init GUEST makes a policy, usher check says what is in the way"
}

# --- uninstall --------------------------------------------------------------------------------------

# Without the hook nobody would give back what a guest holds when it ends
refuse_holders() {
	local claim guest
	for claim in "$DESTDIR"/run/usher/*/claim.ini; do
		[[ -e $claim ]] || continue
		guest=$(sed -n 's/^guest *= *//p' "$claim")
		die "guest $guest holds devices of this host: shut it down, or run usher recover if it is" \
			"gone, then uninstall"
	done
}

# A guest can start, and claim something, until the hook is gone: it goes first, and then is looked again
take_hook_off() {
	local line kind path what
	for line in "${old_manifest[@]}"; do
		read -r kind path what <<<"$line"
		[[ $kind == l && $path == "$hooksdir"/* ]] || continue
		is_ours l "$path" "$what" || continue
		take_off l "$path" "$what"
		(refuse_holders) && continue
		ln -s -- "$what" "$DESTDIR$path"
		exit 1
	done
}

# A hook of the admin's own that does not look first whether it is there
warn_callers() {
	local path
	for path in "$DESTDIR$hooksdir"/qemu "$DESTDIR$hooksdir"/qemu.d/*; do
		! calls_usher "${path#"$DESTDIR"}" ||
			warn "$path calls usher-hook, which is gone: take that out of it, or no guest may start"
	done
}

# The locks that are left in /run when nobody holds anything; what says how the host was stays
drop_state() {
	local state=$DESTDIR/run/usher claims
	claims=("$state"/*-*) # folders of guests, by uuid
	[[ -d $state && ! -L $state && ! -e ${claims[0]} ]] || return 0
	rm -f -- "$state"/*.lock "$state"/host/*.lock
	[[ ! -d $state/host ]] || rmdir --ignore-fail-on-non-empty -- "$state/host"
	rmdir --ignore-fail-on-non-empty -- "$state"
}

do_uninstall() {
	local i kind path what
	set_places
	need_root uninstall
	[[ -e $DESTDIR$manifest ]] || die "usher is not installed here: there is no $manifest"
	refuse_holders
	read_manifest
	take_hook_off
	for ((i = ${#old_manifest[@]} - 1; i >= 0; i--)); do
		read -r kind path what <<<"${old_manifest[i]}"
		[[ $kind == d ]] || take_off "$kind" "$path" "$what"
	done
	rm -f -- "$DESTDIR$manifest"
	# The deepest first
	while read -r kind path; do
		take_off "$kind" "$path"
	done < <(printf '%s\n' "${old_manifest[@]}" | grep '^d ' | sort -r)
	drop_state
	warn_callers
	reload_daemons
	say "usher is off this host"
}

case ${1-} in
demo) run_demo "${@:2}" ;;
check) run_check ;;
install) do_install ;;
uninstall) do_uninstall ;;
help | --help | -h) usage ;;
*)
	usage >&2
	exit 64
	;;
esac
