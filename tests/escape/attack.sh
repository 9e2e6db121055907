#!/bin/bash
# The sandbox attacked at length: `make attack SUITES=sandbox`. On Debian 12 and 13 both, the other by
# `make attack-release RELEASE=trixie SUITES=sandbox`, with SANDBOX, too. Needs root; some ten minutes.
#
#	tests/escape/attack.sh BUILD
#
#	SANDBOX=all      every allowed call taken away in turn: a quarter of an hour more
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=$1
[ "$(id -u)" = 0 ] || { echo "sandbox: needs root" >&2; exit 1; }
tests/lint/needs.sh libnss3 libnss3-tools || exit 1 # the token that is a database
make B="$build" tools captured "$build/tests/test_keyadm" "$build/tests/test_approved" >/dev/null || exit 1

bad=0
# Only what did not hold is worth a line.
try() {
	/usr/bin/python3 "$@" | { grep -v '^ok ' || true; }
	[ "${PIPESTATUS[0]}" = 0 ] || bad=1
}
try tests/escape/escape.py "$build"
# each allowed call is made in a walk; that a call which is lacking is missed, by a sample of them
if [ "${SANDBOX:-}" = all ]; then
	try tests/escape/calls.py minimal "$build"
else
	try tests/escape/calls.py sample "$build" 2
fi
try tests/escape/filters.py check "$build"
try tests/captured/roles_reach.py "$build"
exit $bad
