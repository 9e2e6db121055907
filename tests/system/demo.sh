#!/bin/sh
# `make demo`: a throw-away appliance in DIR, from nothing to a verified draw (demo.py tells it).
#
#	tests/system/demo.sh BIN DIR
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
# an earlier demo's appliance is thrown away with all it holds
[ -e "$2/elsewhere" ] && rm -rf "$(cat "$2/elsewhere")"
rm -rf "$2"
mkdir -p "$2"
exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/demo.py" "$bin" "$(cd "$2" && pwd)"
