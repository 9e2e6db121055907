#!/bin/bash
# opencryptoki's soft token, with its daemon, in mount, IPC and process namespaces of its own: its
# folders are fixed, and the machine's stay as they are. Then COMMAND, with the lines of klerod.conf
# that name the token in FOLDER/module.conf. Needs root; Debian's packages opencryptoki and opensc.
#
#	tests/modules/opencryptoki.sh FOLDER PIN-FILE COMMAND...
set -euo pipefail

if [ "${INSIDE:-}" != yes ]; then
	INSIDE=yes exec unshare --mount --ipc --pid --fork --mount-proc "$0" "$@"
fi
folder=$1 pin=$(cat "$2")
shift 2
module=$(ls /usr/lib/*/opencryptoki/libopencryptoki.so.0 | head -n 1)
mkdir -p "$folder"

mount --make-rprivate /
# Debian 13's does without neither this file nor this folder of its daemon's own user
strength=$(cat /etc/opencryptoki/strength.conf 2>/dev/null || true)
for d in /run /etc/opencryptoki /var/lib/opencryptoki /run/lock; do
	mkdir -p $d
	mount -t tmpfs tmpfs $d
done
for d in swtok swtok/TOK_OBJ; do
	mkdir -p /var/lib/opencryptoki/$d
done
mkdir -p /var/lock/opencryptoki/swtok
[ -z "$strength" ] || install -g pkcs11 -m 640 /dev/stdin /etc/opencryptoki/strength.conf <<<"$strength"
id pkcsslotd >/dev/null 2>&1 && install -d -o pkcsslotd -g pkcs11 -m 710 /run/opencryptoki
chgrp -R pkcs11 /var/lib/opencryptoki /var/lock/opencryptoki
chmod -R 770 /var/lib/opencryptoki /var/lock/opencryptoki
printf 'version opencryptoki-3.1\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' >/etc/opencryptoki/opencryptoki.conf
pkcsslotd -f >"$folder/pkcsslotd.log" 2>&1 &
for _ in $(seq 50); do
	pkcs11-tool --module "$module" -L >/dev/null 2>&1 && break
	sleep 0.1
done
so=87654321 # the vendor's
{
	pkcs11-tool --module "$module" --slot-index 0 --init-token --label klero-keys --so-pin $so
	pkcs11-tool --module "$module" --slot-index 0 --init-pin --login --login-type so --so-pin $so --pin "$pin"
} >"$folder/init.log" 2>&1 || { tail -n 3 "$folder/init.log" >&2; exit 1; }
echo "pkcs11-module $module" >"$folder/module.conf"
"$@"
