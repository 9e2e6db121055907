#!/bin/sh
# Makes a throw-away appliance in DIR: configuration, PINs, SoftHSM tokens, store, self-signed
# certificate. For the demo, `make run` and the system tests; by root or by an ordinary user.
#
#	tests/system/provision.sh BIN DIR PORT [LINE...]
#
# Each LINE is added to the configuration; a keyword that stands in one replaces the default here.
# Does nothing when DIR holds a provisioned appliance already.
#
# The tokens are SoftHSM's, or with KLERO_MODULE=NAME those that tests/modules/NAME.sh makes.
#
# Started by root, the roles become users of their own, who must be able to reach their folders.
# Where DIR lies in a folder that is closed to others (/root), store, tokens and run folder are
# put into a folder of their own in /var/tmp; DIR/elsewhere says which.
set -eu

bin=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
port=$3
shift 3

cannot() {
	echo "provision: cannot $*" >&2
	exit 1
}

softhsm_module() {
	for m in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
		[ -e "$m" ] && echo "$m" && return 0
	done
	cannot "find SoftHSM's module libsofthsm2.so (package softhsm2)"
}

random_pin() {
	(umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$1")
}

# Can every user pass through all folders above this one?
reachable() {
	d=$1
	while [ "$d" != / ]; do
		case $(stat -c %A "$d") in
		d????????[xt]) ;;
		*) return 1 ;;
		esac
		d=$(dirname "$d")
	done
}

defaults() {
	cat <<-CONF
		host localhost
		listen 127.0.0.1:$port
		store $state/store
		run-dir $state/run
		log-file $dir/klerod.log
		tls-certificate $dir/tls.pem
		tls-names localhost 127.0.0.1
		uid-base 59900
		keys-token klero-keys
		keys-pin-file $dir/keys.pin
		tls-token klero-tls
		tls-pin-file $dir/tls.pin
	CONF
	cat "$dir/module.conf"
}

# The lines of klerod.conf that say where the tokens are.
softhsm() {
	module=$(softhsm_module)
	cat <<-CONF
		pkcs11-module $module
		pkcs11-folder $state/tokens
		softhsm-conf $state/softhsm2.conf
	CONF
}

[ -e "$dir/provisioned" ] && exit 0
state=$dir
if [ "$(id -u)" = 0 ] && ! reachable "$dir"; then
	state=$(mktemp -d /var/tmp/kleroterion.XXXXXX)
	chmod 711 "$state"
	echo "$state" >"$dir/elsewhere"
	ln -s "$state/store" "$dir/store"
	echo "provision: other users cannot pass through the folders above $dir: store and tokens are in $state"
fi
random_pin "$dir/keys.pin"
random_pin "$dir/tls.pin"
if [ "${KLERO_MODULE:-softhsm}" = softhsm ]; then
	softhsm
else
	"$(dirname "$0")/../modules/$KLERO_MODULE.sh" "$state/tokens" "$dir/keys.pin" "$dir/tls.pin"
fi >"$dir/module.conf"
{
	# a default gives way to a line of the caller's with the same keyword
	defaults | while read -r keyword value; do
		keep=yes
		for line; do
			[ "${line%% *}" = "$keyword" ] && keep=
		done
		[ -n "$keep" ] && echo "$keyword $value"
	done
	for line; do echo "$line"; done
} >"$dir/klerod.conf"
"$bin/kleroctl" -c "$dir/klerod.conf" setup >"$dir/setup.log" 2>&1 || {
	tail -n 3 "$dir/setup.log" >&2
	cannot "set up the appliance in $dir"
}
touch "$dir/provisioned"
