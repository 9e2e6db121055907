#!/bin/sh
# A part of the short form of what attack.sh does at length, as TAP lines. Needs root: to trace
# processes that are not dumpable, and for the uids and the root folder that are part of what is tested.
#
#	tests/escape/run.sh PART BUILD     BUILD: a build folder with bin/, tools/ and captured/
#
#	escapes    what a captured process would try, in each running role
#	calls      one traced walk through all that the roles do, and each call of kdf taken away in turn
#	filters    the numbers of allowed calls that SECURITY.md gives
#	reach      what a captured role reaches
set -eu

here=$(dirname "$0")
if [ "$(id -u)" != 0 ]; then
	echo "ok 1 - $1 # SKIP needs root"
	exit 0
fi
case $1 in
escapes) exec /usr/bin/python3 "$here/escape.py" "$2" ;;
calls) exec /usr/bin/python3 "$here/calls.py" short "$2" ;;
filters) exec /usr/bin/python3 "$here/filters.py" check "$2" ;;
reach) exec /usr/bin/python3 "$here/../captured/roles_reach.py" "$2" ;;
esac
echo "run: no such part: $1" >&2
exit 1
