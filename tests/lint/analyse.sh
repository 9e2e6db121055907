#!/bin/bash
# Static and dynamic analysis, too slow for `make check`. Prints a table; fails on every finding
# that tests/lint/analyse.allow does not explain, and on every row there that explains nothing.
#
#	tests/lint/analyse.sh [TOOL]...
#
#	cppcheck    the whole product
#	gcc         -fanalyzer, file by file
#	tidy        clang-tidy, file by file
#	scan        scan-build over a whole build
#	unit        every unit test under valgrind's memcheck
#	system      the daemon, each of its processes under memcheck, through the system tests' short
#	            walk
#	            Valgrind makes system calls of its own, for which a role's filter would end it,
#	            and does not know Landlock's: under it the roles have uids and root folders of
#	            their own, and nothing else of their sandbox.
#	sanitizers  every unit test and every system test under ASan and UBSan (clang)
#
# The list of explained findings is for Debian 12's versions of the tools. What runs under valgrind
# keeps the daemon's own time limits, those of its start aside: it wants an idle machine.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
deps=build/deps
python=/usr/bin/python3
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-analyse.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 711 "$work"
mkdir -m 1777 "$work/tmp"
export TMPDIR=$work/tmp

# each tool's part of the attack table's row: tools that are run one at a time make one row
results=${KLERO_ATTACK:-build/attack}
mkdir -p "$results/analyse"

tests/lint/needs.sh cppcheck clang-tidy clang-tools valgrind || exit 1

read -ra flags < <(pkg-config --cflags p11-kit-1 libevent_core)
flags+=(-std=c11 -D_GNU_SOURCE -I. -isystem "$deps/sqlcipher/include" -DSQLITE_HAS_CODEC
	-DKLERO_VERSION='"0"' -DKLERO_COMMIT='"0"' -DKLERO_LIBEXEC='"/l"' -DKLERO_SYSCONF='"/s"')
mapfile -t sources < <(printf '%s\n' {policy,sandbox,db}/*.c {daemon,hsm}/*/*.c)
memcheck=(valgrind -q --vgdb=no --error-exitcode=99 --leak-check=full
	--errors-for-leak-kinds=definite "--suppressions=$PWD/tests/lint/valgrind.supp")
bad=0

# What the compilers say, as "file<TAB>check<TAB>line<TAB>words"; a crashed compiler is a finding.
compiler_lines() {
	sed -nE -e "s|^$PWD/||" -e 's/^([^:]+):([0-9]+):[0-9]+: (warning|error): (.*) \[([^]]*)\]$/\1\t\5\t\2\t\4/p' \
		-e 's/^([^:]+):([0-9]+):[0-9]+: (fatal error|error): ([^[]*)$/\1\terror\t\2\t\4/p' |
		sed -e 's/,-warnings-as-errors\t/\t/' -e 's/\t[^\t]*-Wanalyzer/\t-Wanalyzer/'
}

# sys/queue.h: without it cppcheck cannot read what its macros make. There are no threads.
run_cppcheck() {
	local queue
	queue=$(echo '#include <sys/queue.h>' | gcc -E -xc - | grep -om1 '/[^"]*sys/queue\.h')
	cppcheck -q --enable=warning,portability,performance --inconclusive --std=c11 --library=posix \
		--library=gnu -I. -D__x86_64__ --include="$queue" --suppress=preprocessorErrorDirective \
		--suppress=getpwnamCalled --suppress=readdirCalled \
		--template='{file}\t{id}\t{line}\t{message}' policy daemon hsm sandbox db 2>&1 ||
		echo "cppcheck	failed	0	status $?"
}

each_source() {
	printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" "$@"
}

run_gcc() {
	each_source gcc -O2 -fanalyzer -Wno-analyzer-too-complex -fdiagnostics-plain-output "${flags[@]}" \
		-c -o /dev/null 2>&1 | compiler_lines
}

one_tidy() {
	file=$1
	shift
	clang-tidy --quiet "$file" -- "$@" 2>/dev/null
}

run_tidy() {
	export -f one_tidy
	each_source bash -c 'f=${!#}; set -- "${@:1:$#-1}"; one_tidy "$f" "$@"' - "${flags[@]}" |
		compiler_lines
}

run_scan() {
	rm -rf build/scan
	scan-build -o "$work/reports" make -j"$(nproc)" V=1 B=build/scan all 2>&1 | tee "$work/scan.log" | compiler_lines
	grep -q '^scan-build: ' "$work/scan.log" && [ -x build/scan/bin/klero-verify ] ||
		printf 'scan-build\tfailed\t0\tthe build did not end: %s\n' "$(grep -m1 -E 'error|\*\*\*' "$work/scan.log")"
}

# valgrind_log NAME LOG: its first complaint as a finding
valgrind_log() {
	printf '%s\tmemcheck\t0\t%s\n' "$1" "$(grep -m1 -E '^==[0-9]+== [A-Z0-9]' "$2" | cut -c1-200)"
}

build_memcheck() {
	make -j"$(nproc)" B=build/memcheck OPT='-O1 -g -DKLERO_SANITIZE -include tests/lint/memcheck.h' all unit >"$work/log" 2>&1 ||
		echo "build/memcheck	failed	0	it does not build"
}

one_unit() {
	log=$(mktemp)
	test=$1
	shift
	timeout 900 "$@" "$test" >"$log" 2>&1
	case $? in
	0) ;;
	99) valgrind_log "$(basename "$test")" "$log" ;;
	*) printf '%s\tfailed\t0\t%s\n' "$(basename "$test")" "$(grep -m1 -E 'SUMMARY|runtime error|FAILED|Error' "$log")" ;;
	esac
	rm -f "$log"
}

# each_unit BUILD COMMAND-PREFIX...: every unit test of this build
each_unit() {
	export -f one_unit valgrind_log
	for t in "$1"/tests/test_*; do
		case $t in *.o | *.d) continue ;; esac
		printf '%s\0' "$t"
	done | xargs -0 -P "$(nproc)" -I{} bash -c 'one_unit "$@"' - {} "${@:2}"
}

# Roles that a test starts run outside valgrind here: run_system has them inside.
run_unit() {
	build_memcheck
	each_unit build/memcheck "${memcheck[@]}"
}

# Programs that put valgrind before the real ones; klerod is told to start its roles there.
wrap() {
	mkdir "$work/bin" "$work/valgrind"
	chmod 1777 "$work/valgrind"
	for f in "$1"/klero*; do
		name=$(basename "$f")
		more=
		case $name in klerod | kleroctl) more="-L $work/bin" ;; esac
		# programs that are gone at once may leave what they hold to the kernel
		leaks=
		case $name in kleroctl | klero-verify | klerod-keyadm) leaks=--leak-check=no ;; esac
		printf '#!/bin/sh\nexec %s %s %s "$@"\n' \
			"${memcheck[*]} $leaks --log-file=$work/valgrind/$name.%p" "$f" "$more" >"$work/bin/$name"
	done
	chmod 755 "$work/bin"/*
}

run_system() {
	build_memcheck
	wrap "$PWD/build/memcheck/bin"
	KLERO_BIN=$work/bin $python -m pytest -q -p no:cacheprovider tests/system -m smoke \
		>"$work/log" 2>&1 || printf 'system\tfailed\t0\t%s\n' "$(tail -n 1 "$work/log")"
	for f in "$work"/valgrind/*; do
		grep -qE '^==[0-9]+== [A-Z0-9]' "$f" && valgrind_log "$(basename "${f%.*}")" "$f"
	done
	[ -n "$(ls "$work/valgrind")" ] || echo "system	failed	0	nothing ran under valgrind"
}

run_sanitizers() {
	make -j"$(nproc)" B=build/san CC=clang SAN=1 all unit tools >"$work/log" 2>&1 ||
		echo "build/san	failed	0	it does not build"
	export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	each_unit build/san env
	KLERO_BIN=$PWD/build/san/bin ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 \
		$python -m pytest -q -p no:cacheprovider -n "$(nproc)" --dist loadgroup tests/system >"$results/analyse/sanitizers.log" 2>&1 ||
		grep -E '^(FAILED|ERROR)' "$results/analyse/sanitizers.log" | sed -E 's/^[A-Z]+ ([^ [-]+)(.{0,160}).*/\1\tfailed\t0\t\2/'
}

tools=("$@")
if [ $# = 0 ]; then
	tools=(cppcheck gcc tidy scan unit system sanitizers)
	rm -f "$results"/analyse/*
fi
for tool in "${tools[@]}"; do
	"run_$tool" >"$work/$tool"
	$python tests/lint/findings.py "$tool" "$work/$tool" "$results" || bad=$((bad + 1))
done
exit $bad
