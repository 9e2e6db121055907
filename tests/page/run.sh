#!/bin/sh
# The page GET /verify: its verifier in node, the page in Debian's chromium by npm's playwright-core, and as an
# appliance serves it; all at once. A line a test (TAP). Run by tests/check.sh, the long form by make attack SUITES=page.
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
cp -r "$work/proofs" "$work/proofs-too"
export TMPDIR="$work" KLERO_BIN="$build/bin" PYTHONDONTWRITEBYTECODE=1

# Each part says "not ok" of what fails; its exit status says so besides.
part() {
	name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 || echo failed >"$work/$name.failed"
}
part browser node tests/page/browser.mjs build/page build/page-tests "$build/bin" "$work/proofs" &
part live /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/page &
part verifier node tests/page/verifier.mjs build/page/check.mjs "$build/bin" "$work/proofs-too" "${2:-60}" "${3:-1}"
wait
cat "$work/verifier.log" "$work/browser.log"
if [ -e "$work/live.failed" ]; then
	echo "not ok the page of an appliance"
	sed 's/^/# /' "$work/live.log"
else
	echo "ok the page of an appliance: $(tail -n 1 "$work/live.log")"
fi
for name in browser verifier live; do
	[ ! -e "$work/$name.failed" ] || exit 1
done
