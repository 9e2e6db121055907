#!/bin/sh
# The page GET /verify: its verifier in node, then the page in Debian's chromium by npm's playwright-core. A line
# a test (TAP). Run by tests/check.sh, the long form by make attack SUITES=page.
#
#	tests/page/run.sh BUILD [MUTATIONS [SEED]]     BUILD: build/out; MUTATIONS: altered files to compare
set -eu

cd "$(dirname "$0")/../.."
build=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-page.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
program=page
dir=$work
. packaging/apt.sh

need_debian
install chromium >&2
packaging/npm.sh tests/page build/page-tests >&2
mkdir "$work/proofs"
"$build/tools/proofs" "$work/proofs"
failed=0
node tests/page/verifier.mjs build/page/check.mjs "$build/bin" "$work/proofs" "${2:-100}" "${3:-1}" || failed=1
TMPDIR=$work node tests/page/browser.mjs build/page build/page-tests "$build/bin" "$work/proofs" || failed=1
exit $failed
