#!/bin/sh
# Captured peers: see peers.py. The long form runs a second time over a build with sanitizers,
# which has no seccomp: what the sandbox would hide is seen there, and the other way round.
#
#	tests/captured/peers.sh BUILD [short|long]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
build=$1
form=${2:-short}
KLERO_ROLE_CONF=$(realpath "$build")/tools/role_conf
export KLERO_ROLE_CONF PYTHONDONTWRITEBYTECODE=1

status=0
/usr/bin/python3 "$here/peers.py" "$build" "$form" || status=1
if [ "$form" = long ]; then
	make B=build/san CC=clang SAN=1 all >/dev/null
	/usr/bin/python3 "$here/peers.py" build/san long || status=1
fi
exit $status
