# Shell helpers shared by the programs in scripts/. Sourced, never run.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=${0##*/}

# What a stranger reads: one line per step, on standard error so that output stays clean.
say() {
	printf '%s: %s\n' "$me" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# The packages of the purposes given, from scripts/packages.
packages_for() {
	local purpose
	for purpose in "$@"; do
		sed -n "s/^$purpose  *//p" "$root/scripts/packages"
	done | tr ' ' '\n' | sort -u
}

# Those of the packages given that are not installed. A package may be provided by another.
packages_missing() {
	local name
	dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n' 2>/dev/null |
		sed -n 's/^installed //p' | tr ',' '\n' | sed 's/^ *//; s/[ (:].*//' | sort -u |
		comm -13 - <(printf '%s\n' "$@" | sort -u) |
		while read -r name; do printf '%s ' "$name"; done
}

supported_system() {
	local ID='' VERSION_ID=0
	# shellcheck source=/dev/null
	. /etc/os-release 2>/dev/null
	case $ID in
	debian) [ "${VERSION_ID%%.*}" -ge 12 ] ;;
	ubuntu) [ "${VERSION_ID%%.*}" -ge 24 ] ;;
	*) return 1 ;;
	esac 2>/dev/null
}

# Installs what is missing for the purposes given; quick when there is nothing to do.
need_packages() {
	local missing as_root=()

	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
		die "this needs apt; elsewhere install $(packages_for build | tr '\n' ' ')and build with cmake (README.md)"
	fi
	# shellcheck disable=SC2046 # one word per package
	missing=$(packages_missing $(packages_for "$@"))
	[ -n "$missing" ] || return 0
	supported_system ||
		die "made for Debian 12, Debian 13 and Ubuntu 24.04 or newer; install by hand: $missing"
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			die "installing packages needs root or sudo; install by hand: $missing"
		as_root=(sudo)
	fi
	say "installing $missing"
	local log=$root/build/apt.log
	mkdir -p "$root/build"
	"${as_root[@]}" apt-get update -q >"$log" 2>&1 ||
		say "apt-get update failed (${log#"$root"/}); going on with the lists there are"
	# shellcheck disable=SC2086 # one word per package
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $missing >>"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		die "apt could not install: $missing"
	}
}

# As need_packages, for what the rest can do without.
wish_packages() {
	local name
	# shellcheck disable=SC2046 # one word per package
	for name in $(packages_missing $(packages_for "$@")); do
		if ! apt-cache show "$name" >/dev/null 2>&1; then
			say "$name is not to be had here; going on without"
			return
		fi
	done
	(need_packages "$@") || say "going on without"
}

# Configures (once) and builds the targets given (default: all) of a preset; quiet unless
# it fails.
build_preset() {
	local preset=$1 log=$root/build/$1.log
	shift

	mkdir -p "$root/build"
	if [ ! -e "$root/build/$preset/build.ninja" ]; then
		say "configuring the $preset build"
		(cd "$root" && cmake --preset "$preset") >"$log" 2>&1 || {
			tail -n 30 "$log" >&2
			die "cmake --preset $preset failed"
		}
	fi
	say "building build/$preset"
	(cd "$root" && cmake --build --preset "$preset" ${1:+--target "$@"}) >"$log" 2>&1 || {
		grep -E -A 8 'error|FAILED' "$log" >&2 || tail -n 30 "$log" >&2
		die "the $preset build failed; all of it is in build/$preset.log"
	}
}

# The interpreter everything in scripts/ and tests/ runs on. The system's, not whatever
# python3 is first on PATH: the packages of scripts/packages belong to it.
python=${SHOAL_TEST_PYTHON:-/usr/bin/python3}
