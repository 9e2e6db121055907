#!/bin/bash
# Everything that must hold, in one run: `make check` and .ci/run. Needs no input, cleans up after
# itself, says how long each suite took, and ends with "N passed, N failed".
#
#	tests/check.sh [SUITE...]     these, one after another; all of them without arguments: what mostly
#	                              waits goes first, what only wants the processor goes on behind it
#
#	BASE=DIR        where the builds go (build)
#	FUZZ_SECONDS=N  for all fuzz targets together (60)
#	WORKERS=N       tests at once (two for each processor: they wait more than they work)
#
# As root the system tests run twice: as root, where the roles drop to uids of their own, and in
# part as an ordinary user. Started by an ordinary user they run as that user.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 DEBIAN_FRONTEND=noninteractive

base=${BASE:-build}
python=/usr/bin/python3
jobs=$(nproc)
workers=${WORKERS:-$((2 * jobs))}
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-check.XXXXXX")
tally=$work/tally
: >"$tally"
asides=()
# everybody's temporary files go where they are removed with the rest
chmod 711 "$work"
mkdir -m 1777 "$work/tmp"
export TMPDIR=$work/tmp

# The ordinary user that root lends itself for the tests "as a user".
user_uid=59990

# The uncommon end: whatever happens, the last line is the count.
finish() {
	status=$?
	for pid in "${asides[@]}"; do
		kill -- -"$pid" 2>/dev/null
	done
	passed=$(awk '{ p += $2 } END { print p + 0 }' "$tally")
	failed=$(awk '{ f += $3 } END { print f + 0 }' "$tally")
	[ "$status" != 0 ] && [ "$failed" = 0 ] && failed=1
	rm -rf "$work"
	[ "${whole:-}" != yes ] || tests/packages/tested.py put "check-$release" 'all suites of make check' "$release" "$passed" "$failed"
	echo
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] || exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM

# suite NAME: runs it; how long it took, and how much of it one processor would have worked.
suite() {
	echo "== $1"
	start=$SECONDS
	(
		"suite_$1"
		times >"$work/times.$1"
	)
	echo "== $1: $((SECONDS - start)) s, of processors $(awk -F '[ms ]+' \
		'{ t += 60 * ($1 + $3) + $2 + $4 } END { printf "%d", t }' "$work/times.$1") s, $(
		awk '{ p += $2; f += $3 } END { print p + 0 " passed, " f + 0 " failed so far" }' "$tally")"
}

# tally NAME PASSED FAILED
tally() {
	echo "$1 $2 $3" >>"$tally"
	[ "$3" = 0 ] || echo "FAILED: $1: $3"
}

# one NAME COMMAND...: a test that is its exit status
one() {
	name=$1
	shift
	log=$(mktemp "$work/log.XXXXXX")
	if "$@" >"$log" 2>&1; then
		tally "$name" 1 0
	else
		tail -n 60 "$log"
		tally "$name" 0 1
	fi
}

# A line per test, "ok …" or "not ok …" (TAP); crashed programs count as one failure.
tap() {
	name=$1
	shift
	log=$(mktemp "$work/log.XXXXXX")
	began=$SECONDS
	"$@" >"$log" 2>"$log.err"
	rc=$?
	echo "$((SECONDS - began)) s $name" >>"$work/took"
	# what is skipped counts for neither
	good=$(grep '^ok ' "$log" | grep -vc '# SKIP')
	bad=$(grep '^not ok ' "$log" | grep -vc '# SKIP')
	grep '# SKIP' "$log" | sed "s/^/$name: /"
	[ $rc != 0 ] && [ "$bad" = 0 ] && bad=1
	[ $rc = 0 ] && [ "$good" = 0 ] && ! grep -q '# SKIP' "$log" && bad=1
	if [ "$bad" != 0 ]; then
		grep -v '^ok ' "$log" | tail -n 40
		tail -n 40 "$log.err"
	fi
	tally "$name" "$good" "$bad"
}

# at_once N: no more than so many of this shell's background jobs, from now on. Each writes files of
# its own, and a line at a time.
at_once() {
	while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do
		wait -n
	done
}

# pytests NAME COMMAND-PREFIX... -- ARGUMENTS...
pytests() {
	name=$1
	shift
	prefix=()
	while [ "$1" != -- ]; do
		prefix+=("$1")
		shift
	done
	shift
	# it may have to be written by another user
	xml=$(mktemp -d)
	chmod 777 "$xml"
	"${prefix[@]}" $python -m pytest -q -p no:cacheprovider --junitxml="$xml/r.xml" "$@" 2>&1 | tail -n 200 >"$xml/log"
	read -r good bad < <($python - "$xml/r.xml" <<-'PY'
		import sys, xml.etree.ElementTree as e
		try:
		    s = e.parse(sys.argv[1]).getroot().find("testsuite").attrib
		    bad = int(s["failures"]) + int(s["errors"])
		    print(int(s["tests"]) - bad - int(s["skipped"]), bad)
		except Exception:
		    print(0, 1)
	PY
	)
	[ "$good" = 0 ] && [ "$bad" = 0 ] && bad=1
	if [ "$bad" != 0 ]; then
		cat "$xml/log"
	else
		tail -n 1 "$xml/log"
	fi
	rm -rf "$xml"
	tally "$name" "$good" "$bad"
}

build() {
	log=$(mktemp "$work/log.XXXXXX")
	make -j"$jobs" "$@" >"$log" 2>&1 && return 0
	grep -E 'error|Error|warning|undefined' "$log" | head -n 30
	tail -n 5 "$log"
	return 1
}

# compiled NAME FOLDER COMPILER SANITIZERS TARGETS...
compiled() {
	name=$1
	if build B="$2" CC="$3" SAN="$4" "${@:5}"; then
		tally "build-$name" 1 0
	else
		tally "build-$name" 0 1
	fi
}

suite_build() {
	suite_gcc
	suite_others
}

# What nearly all suites run.
suite_gcc() {
	compiled gcc "$base/out" gcc 0 all unit tools
}

# What only some do. Clang's own build is for its warnings, and nothing runs it. The tools are not built
# with sanitizers: nothing uses them so.
suite_others() {
	compiled clang "$base/clang" clang 0 OPT=-O0 all unit tools
	compiled sanitizers "$base/san" clang 1 all unit fuzz-build
}

suite_lint() {
	tap lint $python tests/lint/lint.py --bin "$base/out/bin"
	grep '^#' "$log"
}

# Both compilers' programs: clang's are those with sanitizers.
suite_unit() {
	# the sanitizers' other settings are each program's own
	env=(CMOCKA_MESSAGE_OUTPUT=TAP UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1)
	for kind in out san; do
		for t in "$base/$kind"/tests/test_*; do
			case $t in *.o | *.d) continue ;; esac
			[ -x "$t" ] || continue
			at_once "$workers"
			tap "unit-$kind-$(basename "$t")" env "${env[@]}" timeout 1800 "$t" &
		done
	done
	wait
	echo "# the slowest: $(grep unit- "$work/took" | sort -rn | head -n 6 | paste -sd, | sed 's/,/, /g')"
}

# Each target runs over its seeds, and then for some seconds beyond them.
suite_fuzz() {
	tap fuzz tests/fuzz/fuzz.py short "$base/san"
}

suite_escape() {
	build B="$base/out" captured || tally build-captured 0 1
	for part in escapes calls filters reach; do
		tap "escape-$part" timeout 1800 tests/escape/run.sh "$part" "$base/out" &
	done
	# each role spoken to as each of its peers
	tap captured tests/captured/peers.sh "$base/out" &
	wait
}

# lend NAME: a copy that any user may read, $lent, for this suite's tests as an ordinary user. A short
# name: what a socket is bound to has 107 bytes.
lend() {
	lent=$work/$1
	mkdir -p "$lent/home"
	cp -r "$base/out/bin" "$base/out/tools" "$lent/"
	cp -r --parents tests Makefile README.md daemon packaging hsm/p11/need.def "$lent/" 2>/dev/null
	chown -R $user_uid:$user_uid "$lent"
}

as_user() {
	env -C "$lent" HOME="$lent/home" TMPDIR="$lent" \
		setpriv --reuid=$user_uid --regid=$user_uid --clear-groups "$@"
}

# system_tests NAME COMMAND-PREFIX... -- ARGUMENTS...: many at once; then what looks at all of their answers.
system_tests() {
	KLERO_SAMPLES=$(mktemp -d)
	chmod 777 "$KLERO_SAMPLES"
	export KLERO_SAMPLES
	pytests "$@" -n "$workers" --dist loadgroup tests/system
	pytests "$@" tests/system/test_z_coverage.py
	unset KLERO_SAMPLES
}

suite_system() {
	export KLERO_BIN=$PWD/$base/out/bin KLERO_CHAINS=$PWD/$base/chains KLERO_BEACON=$PWD/$base/beacon KLERO_JUDGES=$PWD/$base/judges
	if [ "$(id -u)" != 0 ]; then
		system_tests system-user env --
		return
	fi
	system_tests system-root env --
	lend user
	KLERO_BIN=$lent/bin pytests system-user as_user -- -m "not root_only and not slow" -n "$workers" tests/system
	rm -rf "$lent"
}

# A few rounds of each; the many are in tests/crash/attack.sh.
suite_crash() {
	KLERO_BIN=$PWD/$base/out/bin pytests crash env -- -n "$workers" tests/crash
}

# The sanitizers' build runs without seccomp; one walk through everything is enough for it.
suite_sanitized() {
	KLERO_BIN=$PWD/$base/san/bin ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
		pytests system-sanitized env -- tests/system -m smoke
}

# A few of the failures of each kind; all of them by make attack SUITES=faults.
suite_faults() {
	if build B="$base/out" CC=gcc faults tools; then
		KLERO_FAULTS=$PWD/$base/out/faults pytests faults env -- -n "$workers" tests/faults
	else
		tally faults 0 1
	fi
}

# A sale and rotations on another module than SoftHSM; the rest by make modules.
suite_modules() {
	tap modules tests/modules/run.sh "$base/out" short
}

# An HSM that fails, a little of everything; all of it by make attack SUITES=hsm.
suite_hsm() {
	KLERO_BIN=$PWD/$base/out/bin pytests hsm env -- tests/hsmfail
}

# The page GET /verify, in node and in a browser, with some altered proofs; more by make attack SUITES=page.
suite_page() {
	tap page timeout 1800 tests/page/run.sh "$base/out"
}

suite_demo() {
	(for n in 1 2; do
		one "demo-$n" timeout 900 tests/system/demo.sh "$base/out/bin" "$base/demo"
	done) &
	if [ "$(id -u)" = 0 ]; then
		lend demo
		one demo-user as_user timeout 900 tests/system/demo.sh bin demo
		rm -rf "$lent"
	fi
	wait
}

packaging/deps.sh build/deps beside || exit 1
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-$ID}")
if [ $# != 0 ]; then
	for s; do
		suite "$s"
	done
	exit
fi

# aside SUITE...: one after another, beside everything else, to which they give way
aside() {
	(
		renice -n 10 -p $BASHPID >/dev/null
		for s; do
			suite "$s" >"$work/aside.$s" 2>&1
			cat "$work/aside.$s"
		done
	) &
	asides+=($!)
}

# what is told of below is a run from end to end
whole=yes
suite gcc
set -m
aside others lint unit fuzz sanitized modules
aside escape page demo
set +m
for s in system crash hsm faults; do
	suite "$s"
done
for pid in "${asides[@]}"; do
	wait "$pid" || tally aside 0 1
done
asides=()
