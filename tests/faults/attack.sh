#!/bin/bash
# Fault injection, the long form: every N (make attack SUITES=faults), then a part of it once more
# with sanitizers in every role.
#
#	tests/faults/attack.sh BUILD
#
#	FAULTS_SHARE=N   every Nth of them only, for a machine with less time
#	FAULTS_LANES=N   appliances at once (8)
#	FAULTS_KINDS=... of seam.def only these
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?usage: attack.sh BUILD}
python=/usr/bin/python3

make -j"$(nproc)" B="$build" faults tools >/dev/null
make -j"$(nproc)" B=build/san CC=clang SAN=1 faults >/dev/null
status=0
FAULTS=long KLERO_FAULTS=$build/faults $python -m pytest -q -p no:cacheprovider tests/faults || status=1
env -u KLERO_ATTACK KLERO_FAULTS=build/san/faults KLERO_TOOLS="$build/tools" \
	$python -m pytest -q -p no:cacheprovider tests/faults/test_paths.py || status=1
exit $status
