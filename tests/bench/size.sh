#!/bin/sh
# `make bench-size`: what the size of the store costs, from 10^3 tickets to 10^7. Takes half an hour
# and 20 GB below $TMPDIR; tests/bench/size.py says what is measured.
#
#	tests/bench/size.sh B [ARGUMENT-OF-size.py...]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/packaging/deps.sh" "$root/build/deps" bench
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$root/tests/bench/size.py" "$@"
