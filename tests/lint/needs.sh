#!/bin/sh
# Installs the Debian packages that a slow suite of this folder wants and that make check does not.
#
#	tests/lint/needs.sh PACKAGE...
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
program=$(basename "$0" .sh)
dir=$here/build/deps
. "$here/packaging/apt.sh"
need_debian
mkdir -p "$dir"
install "$@"
