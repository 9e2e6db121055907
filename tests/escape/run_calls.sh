#!/bin/sh
# The short form of what attack.sh does at length, as TAP lines: one traced walk through all that the
# roles do, each call of kdf taken away in turn, and what a captured role reaches. Needs root.
#
#	tests/escape/run_calls.sh BUILD     BUILD: a build folder with bin/, tools/ and captured/
set -eu

here=$(dirname "$0")
if [ "$(id -u)" != 0 ]; then
	echo "ok 1 - calls # SKIP needs root"
	exit 0
fi
/usr/bin/python3 "$here/calls.py" short "$1"
/usr/bin/python3 "$here/filters.py" check "$1"
/usr/bin/python3 "$here/../captured/roles_reach.py" "$1"
