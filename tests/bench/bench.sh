#!/bin/sh
# `make bench`: klerod, the bare database loop and nginx in turn, three rounds, medians and ratios.
#
#	tests/bench/bench.sh B [PEER]     B: build folder; PEER: a folder with another server to race
#
#	BENCH_SECONDS=N for each run (10); BENCH_JSON=FILE for the figures as JSON
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/packaging/deps.sh" "$root/build/deps" bench
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$root/tests/bench/bench.py" "$@"
