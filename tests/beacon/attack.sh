#!/bin/bash
# The long form of the oracle of drand's verification: 4,200 rounds with something changed, or COUNT.
#
#	tests/beacon/attack.sh BUILD [COUNT]      make attack SUITES=beacon
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "${1:?usage: attack.sh BUILD [COUNT]}")
count=${2:-4200}

packaging/npm.sh tests/beacon build/beacon
make B="$build" "$build/tools/drand_verdict"
said=$(node build/beacon/oracle.mjs "$count" "$(date +%s)" | "$build/tools/drand_verdict") || true
echo "$said"
differ=$(sed -n 's/^.* good, \([0-9]*\) verdicts differ$/\1/p' <<<"$said")
[ -z "${KLERO_ATTACK-}" ] || cat >"$KLERO_ATTACK/beacon-oracle.json" <<END
{"name": "drand: an oracle", "tried": "rounds, signatures and keys with something changed, against @noble/curves",
 "count": $count, "unit": "verdicts", "failed": ${differ:-1}}
END
[ "${differ:-1}" = 0 ]
