#!/bin/sh
# Prints the commit that this tree is of: what `git archive` has put into packaging/commit, or in a
# clone what git says, with -dirty behind it when a committed file was changed. Nothing when nobody knows.
set -eu

cd "$(dirname "$0")/.."
commit=$(cat packaging/commit)
case $commit in
*[!0-9a-f]*) ;;
?*) echo "$commit"; exit ;;
esac
[ -e .git ] || exit 0
git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null || :
