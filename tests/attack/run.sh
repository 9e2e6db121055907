#!/bin/bash
# The long forms of the suites that attack the product, each the script of its own part:
#
#	tests/attack/run.sh BUILD RESULTS [SUITE...]      make attack SUITES='sandbox crash'
#
# Each suite leaves RESULTS/NAME.json: what was tried, how often, what failed. report.py makes
# SECURITY.md's table from them. A suite that fails does not keep the next from running; the exit
# status is the number of suites that failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: run.sh BUILD RESULTS [SUITE...]}
export KLERO_ATTACK=${2:?folder of the results}
shift 2
mkdir -p "$KLERO_ATTACK"
KLERO_ATTACK=$(realpath "$KLERO_ATTACK")
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1

suites=("$@")
[ $# = 0 ] && suites=(sandbox captured crash faults hsm fuzz modules page beacon peers analyse coverage)
bad=0

# Only what has to be said to start a suite; how it works stands in its own folder.
start() {
	case $1 in
	sandbox) tests/escape/attack.sh "$build" ;;
	captured) tests/captured/attack.sh "$build" ;;
	crash) tests/crash/attack.sh "$build" ;;
	faults) tests/faults/attack.sh "$build" ;;
	hsm) tests/hsmfail/attack.sh "$build" ;;
	fuzz) make fuzz-long ;;
	modules) tests/modules/run.sh "$build" "$KLERO_ATTACK" ;;
	page) tests/page/attack.sh "$build" ;;
	beacon) tests/beacon/attack.sh "$build" ;;
	peers) tests/peers/run.sh "$build/bin" build/peers ;;
	analyse) make analyse ;;
	coverage) make coverage ;;
	*)
		echo "attack: no suite is called '$1'" >&2
		return 1
		;;
	esac
}

for suite in "${suites[@]}"; do
	began=$SECONDS
	echo "== $suite"
	if start "$suite"; then
		echo "== $suite: held, $((SECONDS - began)) s"
	else
		echo "== $suite: FAILED, $((SECONDS - began)) s"
		bad=$((bad + 1))
	fi
done
exit $bad
