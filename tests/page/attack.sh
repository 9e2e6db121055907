#!/bin/bash
# The page GET /verify, the long form: thousands of altered proofs, each judged as klero-verify judges it (make
# attack SUITES=page).
#
#	tests/page/attack.sh BUILD
#
#	MUTATIONS=N   how many (6,000: about half an hour)
#	SEED=N        which ones (1)
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: attack.sh BUILD}
n=${MUTATIONS:-6000}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
tests/page/run.sh "$build" "$n" "${SEED:-1}" | tee "$log"
status=${PIPESTATUS[0]}
[ -n "${KLERO_ATTACK:-}" ] && cat >"$KLERO_ATTACK/page.json" <<-JSON
	{"name": "page: altered proofs", "tried": "proof bundles with changed, lost and doubled bytes: the page GET /verify and klero-verify agree on verdict, step and words",
	 "count": $n, "unit": "files", "failed": $(grep -c '^not ok' "$log")}
JSON
exit "$status"
