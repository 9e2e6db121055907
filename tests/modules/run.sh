#!/bin/bash
# Every PKCS#11 module that Debian packages: what kleroctl hsm check says of it, and for those that
# can be used the tests of the HSM, with the modules' own tokens (KLERO_MODULE). `make modules` and
# `make attack SUITES=modules`; needs root; some ten minutes.
#
#	tests/modules/run.sh BUILD RESULTS [MODULE...]     softhsm nss opencryptoki tpm2
#	tests/modules/run.sh BUILD short                   what make check runs: a sale and rotations on NSS
#
# Installs what is missing; no daemon of the machine is started or spoken to, each has its own
# folders. Leaves RESULTS/modules/NAME.json, from which table.py makes the table of the README.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
here=tests/modules
build=$(realpath "${1:?usage: run.sh BUILD RESULTS [MODULE...]}")
results=${2:?folder of the results}
shift 2
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 KLERO_BIN=$build/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-modules.XXXXXX")
chmod 711 "$work"
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work

# Tests of the whole appliance on a module's own tokens.
whole() {
	KLERO_MODULE=$1 /usr/bin/python3 -m pytest -q -p no:cacheprovider "${@:2}" | tail -n 5
	return "${PIPESTATUS[0]}"
}

if [ "$results" = short ]; then
	bad=0
	if KLERO_MODULE=nss tests/system/demo.sh "$build/bin" "$work/demo" >"$work/log" 2>&1; then
		echo "ok demo-nss"
	else
		tail -n 20 "$work/log" >&2
		echo "not ok demo-nss"
		bad=1
	fi
	for t in test_hsm_check.py::test_each_need_is_tried test_rotation.py::test_rotation_under_load \
		test_token_database.py; do
		if whole nss "tests/system/$t" >"$work/log" 2>&1; then
			echo "ok nss-$t"
		else
			cat "$work/log" >&2
			echo "not ok nss-$t"
			bad=1
		fi
	done
	exit $bad
fi

tests/lint/needs.sh libnss3 libnss3-tools opencryptoki opensc libtpm2-pkcs11-1 libtpm2-pkcs11-tools \
	swtpm tpm2-abrmd tpm2-tools dbus libtss2-tcti-tabrmd0 libtss2-tcti-swtpm0 || exit 1
mkdir -p "$results/modules"
results=$(realpath "$results")/modules

# A configuration around FOLDER/module.conf, and the report; its status says whether it can be used.
report() {
	{
		printf '%s\n' "host localhost" "listen 127.0.0.1:1" "store $1/store" "run-dir $1/run" \
			"tls-certificate $1/tls.pem" "keys-pin-file $1/pin" "tls-pin-file $1/pin"
		cat "$1/module.conf"
	} >"$1/klerod.conf"
	"$build/bin/kleroctl" -c "$1/klerod.conf" hsm check --token klero-keys --json >"$results/$2.json"
}
export -f report
export build results

try() {
	name=$1
	dir=$work/$name
	mkdir -p "$dir"
	(umask 077 && echo "pin-$RANDOM$RANDOM" | cut -c1-8 >"$dir/pin")
	if [ -e "$here/$name.sh" ] && [ "$name" != nss ]; then
		$here/"$name".sh "$dir" "$dir/pin" bash -c 'report "$@"' report "$dir" "$name"
	else
		KLERO_MODULE=$name tests/system/provision.sh "$build/bin" "$dir/a" 1 || return 1
		"$build/bin/kleroctl" -c "$dir/a/klerod.conf" hsm check --token klero-keys --json >"$results/$name.json"
	fi
	echo "$name: $(/usr/bin/python3 $here/table.py --summary "$results/$name.json")"
}

bad=0
modules=("$@")
[ $# = 0 ] && modules=(softhsm nss opencryptoki tpm2)
for m in "${modules[@]}"; do
	try "$m"
	[ -s "$results/$m.json" ] || { echo "$m: no report" >&2; bad=1; continue; }
	case $m in
	nss)
		# two name the deposit keys, which NSS cannot keep; two check notes of an Ed25519 log key, which
		# it has not; one wraps a module without parameters of its own
		whole nss --deselect tests/system/test_officers_api.py::test_keyring \
			--deselect tests/system/test_officers_api.py::test_metrics \
			--deselect tests/system/test_officers_api.py::test_a_draw_that_officers_approve \
			--deselect tests/system/test_rotation.py::test_logs_go_on_under_the_new_key \
			--deselect tests/system/test_hsm.py::test_without_landlock \
			tests/system/test_hsm.py tests/system/test_hsm_check.py tests/system/test_rotation.py \
			tests/system/test_rotation_tls.py tests/system/test_officers_api.py tests/system/test_proof.py \
			tests/system/test_raffles.py tests/system/test_token_database.py || bad=1
		;;
	# refused, by name, and with what it means
	opencryptoki | tpm2) /usr/bin/python3 $here/table.py --refused "$results/$m.json" || bad=1 ;;
	esac
done
exit $bad
