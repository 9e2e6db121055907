#!/bin/sh
# Makes a throw-away appliance in DIR: configuration, PINs, SoftHSM tokens, store, self-signed
# certificate. For the demo, `make run` and the system tests; by root or by an ordinary user.
#
#	tests/system/provision.sh BIN DIR PORT [LINE...]
#
# Each LINE is added to the configuration; a keyword that stands in one replaces the default here.
# Does nothing when DIR holds a provisioned appliance already.
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

defaults() {
	cat <<-CONF
		host localhost
		listen 127.0.0.1:$port
		store $dir/store
		run-dir $dir/run
		log-file $dir/klerod.log
		tls-certificate $dir/tls.pem
		tls-names localhost 127.0.0.1
		uid-base 59900
		pkcs11-module $module
		pkcs11-folder $dir/tokens
		softhsm-conf $dir/softhsm2.conf
		keys-token klero-keys
		keys-pin-file $dir/keys.pin
		tls-token klero-tls
		tls-pin-file $dir/tls.pin
	CONF
}

[ -e "$dir/provisioned" ] && exit 0
module=$(softhsm_module)
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
random_pin "$dir/keys.pin"
random_pin "$dir/tls.pin"
"$bin/kleroctl" -c "$dir/klerod.conf" setup >"$dir/setup.log" 2>&1 || {
	tail -n 3 "$dir/setup.log" >&2
	cannot "set up the appliance in $dir"
}
touch "$dir/provisioned"
