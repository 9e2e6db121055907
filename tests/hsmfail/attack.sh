#!/bin/bash
# A PKCS#11 module that fails, the long form: every function with every code, every call of a start
# and of keyadm, minutes of absence, hangs (make attack SUITES=hsm). Some two hours.
#
#	tests/hsmfail/attack.sh BUILD [PYTEST-ARGUMENT...]
#
#	HSMFAIL_SHARE=N   every Nth case only, for a machine with less time
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?usage: attack.sh BUILD [PYTEST-ARGUMENT...]}
shift
make -j"$(nproc)" B="$build" all tools >/dev/null
HSMFAIL=long KLERO_BIN=$build/bin exec /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/hsmfail "$@"
