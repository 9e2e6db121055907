#!/bin/bash
# The long form of the crash tests, for tests/attack/run.sh:
#
#	tests/crash/attack.sh BUILD
#
#	CRASH_ROUNDS=N  rounds of each test (500)
#	SEED=N          repeats the choices of a run
set -eu
cd "$(dirname "$0")/../.."
build=${1:?usage: attack.sh BUILD}
make B="$build" all tools
export KLERO_BIN="$build/bin" CRASH_ROUNDS="${CRASH_ROUNDS:-500}"
exec /usr/bin/python3 -m pytest -v -s -p no:cacheprovider tests/crash
