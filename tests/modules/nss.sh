#!/bin/sh
# Two tokens of NSS softoken in FOLDER, each a database of its own with its own PIN; prints the lines
# of klerod.conf that name them. Debian's packages libnss3 and libnss3-tools.
#
#	tests/modules/nss.sh FOLDER KEYS-PIN-FILE TLS-PIN-FILE
set -eu

folder=$1
module=$(ls /usr/lib/*/libsoftokn3.so 2>/dev/null | head -n 1)
[ -n "$module" ] || { echo "nss: no libsoftokn3.so (package libnss3)" >&2; exit 1; }
for name in keys tls; do
	mkdir -p "$folder/$name"
	[ "$name" = keys ] && pin=$2 || pin=$3
	certutil -N -d "sql:$folder/$name" -f "$pin" >/dev/null
done
# what klerod-keyadm becomes with provision.sh's uid-base
[ "$(id -u)" = 0 ] && chown -R 59904:59904 "$folder"

keys="configDir='sql:$folder/keys' tokenDescription='klero-keys'"
tls="configDir='sql:$folder/tls' tokenDescription='klero-tls'"
cat <<-CONF
	pkcs11-module $module
	pkcs11-parameters tokens=<0x4=[$keys] 0x5=[$tls]>
	pkcs11-store database
	pkcs11-folder $folder
	pkcs11-env NSS_SDB_USE_CACHE=no
	keys-parameters tokens=<0x4=[$keys flags=readOnly]>
	tls-parameters tokens=<0x5=[$tls flags=readOnly]>
CONF
