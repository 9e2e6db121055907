#!/bin/bash
# tpm2-pkcs11 over a TPM in software (swtpm) and the resource manager that a TPM of three slots
# needs, on a message bus of its own; state and store in FOLDER. Then COMMAND, with the lines of
# klerod.conf that name the token in FOLDER/module.conf. Debian's packages libtpm2-pkcs11-1,
# libtpm2-pkcs11-tools, swtpm, tpm2-abrmd, tpm2-tools, dbus, libtss2-tcti-tabrmd0.
#
#	tests/modules/tpm2.sh FOLDER PIN-FILE COMMAND...
set -euo pipefail

if [ "${INSIDE:-}" != yes ]; then
	INSIDE=yes exec dbus-run-session -- "$0" "$@"
fi
folder=$1 pin=$(cat "$2")
shift 2
module=$(ls /usr/lib/*/pkcs11/libtpm2_pkcs11.so | head -n 1)
port=${TPM2_PORT:-23210}
mkdir -p "$folder/state" "$folder/store"
swtpm socket --tpm2 --tpmstate dir="$folder/state" --ctrl type=tcp,port=$((port + 1)) \
	--server type=tcp,port="$port" --flags not-need-init,startup-clear >"$folder/swtpm.log" 2>&1 &
swtpm=$!
sleep 0.5
tpm2-abrmd --allow-root --session --tcti="swtpm:host=127.0.0.1,port=$port" >"$folder/abrmd.log" 2>&1 &
abrmd=$!
trap 'kill $abrmd $swtpm 2>/dev/null; wait 2>/dev/null || true' EXIT

tcti=tabrmd:bus_type=session
export TPM2_PKCS11_TCTI=$tcti TPM2TOOLS_TCTI=$tcti TPM2_PKCS11_STORE=$folder/store TSS2_LOG=all+NONE
for _ in $(seq 50); do
	tpm2_getrandom 4 >/dev/null 2>&1 && break
	sleep 0.1
done
{
	tpm2_ptool init --path "$folder/store"
	tpm2_ptool addtoken --pid=1 --label=klero-keys --sopin="$pin" --userpin="$pin" --path "$folder/store"
} >"$folder/init.log" 2>&1 || { tail -n 3 "$folder/init.log" >&2; exit 1; }
printf '%s\n' "pkcs11-module $module" "pkcs11-env TPM2_PKCS11_STORE=$folder/store" \
	"pkcs11-env TPM2_PKCS11_TCTI=$tcti" "pkcs11-env TSS2_LOG=all+NONE" >"$folder/module.conf"
"$@"
