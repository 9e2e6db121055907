#!/bin/sh
# Installing Debian packages, for scripts that source this: packaging/deps.sh and the test suites'
# own. They set program (the name in a message) and dir (a folder for apt's log) first. A failure
# is one line.
# shellcheck disable=SC2154

need_debian() {
	command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
		cannot "install packages: this is not Debian (no dpkg-query or apt-get)"
}

cannot() {
	echo "$program: cannot $*" >&2
	exit 1
}

# The packages among the arguments that are not installed.
missing() {
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo "$p"
	done
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n true 2>/dev/null || [ -t 0 ] || return 77
		sudo "$@"
	fi
}

# apt_get WHAT-FOR ARGUMENTS...: its noise goes to a log, its first error into our one line.
apt_get() {
	what=$1
	shift
	rc=0
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 "$@" >"$dir/apt.log" 2>&1 </dev/null || rc=$?
	[ $rc = 0 ] && return 0
	[ $rc = 77 ] && cannot "$what: this needs root, and sudo is not usable here"
	why=$(sed -n 's/^E: //p' "$dir/apt.log" | head -n 1)
	cannot "$what: ${why:-apt-get failed, see $dir/apt.log}"
}

refreshed=
refresh() {
	[ -n "$refreshed" ] && return 0
	apt_get "fetch Debian's package lists" -o APT::Update::Error-Mode=any update
	refreshed=yes
}

# A package that starts a server when it is installed shall not do so on a developer's machine.
policy=/usr/sbin/policy-rc.d
with_servers_held() {
	if [ -e $policy ]; then
		"$@"
		return
	fi
	trap 'as_root rm -f $policy' EXIT
	as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy" ||
		cannot "install packages: this needs root, and sudo is not usable here"
	"$@"
	as_root rm -f $policy
	trap - EXIT
}

# Installs those of the packages that are not here.
install() {
	lack=$(missing "$@")
	[ -z "$lack" ] && return 0
	echo "$program: installing" $lack
	refresh
	with_servers_held apt_get "install $(echo $lack)" install --no-install-recommends $lack
}
