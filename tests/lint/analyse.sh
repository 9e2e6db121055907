#!/bin/bash
# Static and dynamic analysis, too slow for `make check`: cppcheck, gcc -fanalyzer, clang-tidy
# (with clang's analyzer, which is what scan-build runs) and the quick unit tests under valgrind.
# Prints a table; fails on every finding that tests/lint/analyse.allow does not explain.
#
#	tests/lint/analyse.sh BUILD [cppcheck|gcc|tidy|valgrind]...
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C.UTF-8
build=${1:?folder of an ordinary build of the unit tests}
shift
deps=build/deps
allow=tests/lint/analyse.allow
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-analyse.XXXXXX")
trap 'rm -rf "$work"' EXIT
read -ra flags < <(pkg-config --cflags p11-kit-1 libevent_core)
flags+=(-std=c11 -D_GNU_SOURCE -I. -isystem "$deps/sqlcipher/include" -DSQLITE_HAS_CODEC
	-DKLERO_VERSION='"0"' -DKLERO_LIBEXEC='"/l"' -DKLERO_SYSCONF='"/s"')
mapfile -t sources < <(printf '%s\n' {policy,sandbox,db}/*.c {daemon,hsm}/*/*.c)
# those that need no second process and no password hash
quick=(apimsg bundle cache conf draw hash http json jsonw leaf limit merkle msg note record req
	rules text token userlimit)
bad=0

# report TOOL: $work/TOOL holds lines "file<TAB>check<TAB>rest"
report() {
	sort -u "$work/$1" >"$work/all"
	awk -F'\t' -v tool="$1" 'NR == FNR {
			if ($0 !~ /^#/ && NF >= 4 && $1 == tool) known[$2 "\t" $3] = 1
			next
		}
		!(($1 "\t" $2) in known)' "$allow" "$work/all" >"$work/new"
	printf '%-10s %4d findings, %4d explained, %4d new\n' "$1" "$(wc -l <"$work/all")" \
		"$(($(wc -l <"$work/all") - $(wc -l <"$work/new")))" "$(wc -l <"$work/new")"
	[ -s "$work/new" ] || return
	cat "$work/new"
	bad=1
}

# What the compilers say, as "file<TAB>check<TAB>line: words"; a crashed compiler is a finding.
compiler_lines() {
	sed -nE -e "s|^$PWD/||" -e 's/^([^:]+):([0-9]+):[0-9]+: (warning|error): (.*) \[([^]]*)\]$/\1\t\5\t\2: \4/p' \
		-e 's/^([^:]+):([0-9]+):[0-9]+: (fatal error|error): ([^[]*)$/\1\terror\t\2: \4/p' |
		sed -e 's/,-warnings-as-errors\t/\t/' -e 's/\t[^\t]*-Wanalyzer/\t-Wanalyzer/'
}

run_cppcheck() {
	cppcheck -q --enable=warning,portability,performance --std=c11 -I. -D__x86_64__ \
		--suppress=preprocessorErrorDirective --template='{file}\t{id}\t{line}: {message}' \
		policy daemon hsm sandbox db >"$work/cppcheck" 2>&1 || echo "cppcheck	failed	$?" >>"$work/cppcheck"
}

run_gcc() {
	for f in "${sources[@]}"; do
		gcc -O2 -fanalyzer -Wno-analyzer-too-complex -fdiagnostics-plain-output "${flags[@]}" \
			-c -o /dev/null "$f" 2>&1 | compiler_lines
	done >"$work/gcc"
}

run_tidy() {
	for f in "${sources[@]}"; do
		clang-tidy --quiet "$f" -- "${flags[@]}" 2>/dev/null | compiler_lines
	done >"$work/tidy"
}

run_valgrind() {
	for t in "${quick[@]}"; do
		timeout 300 valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
			"$build/tests/test_$t" >"$work/log" 2>&1
		case $? in
		0) ;;
		*) printf 'test_%s\tmemcheck\t%s\n' "$t" "$(grep -m1 -E '^==[0-9]+== [A-Z]' "$work/log")" ;;
		esac
	done >"$work/valgrind"
}

tools=("$@")
[ $# = 0 ] && tools=(cppcheck gcc tidy valgrind)
for tool in "${tools[@]}"; do
	"run_$tool"
	report "$tool"
done
exit $bad
