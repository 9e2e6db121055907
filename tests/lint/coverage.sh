#!/bin/bash
# Branch coverage of policy, messages, configuration, API and net's parsers by the unit tests:
# a table, worst first. `make coverage` builds the tests with counters and calls this.
#
#	tests/lint/coverage.sh BUILD
#
# A test that fails makes this fail, for then the figures are not those of the whole tests.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
build=${1:?folder of a build with --coverage}
tests=(apimsg bundle conf draw hash http json jsonw leaf merkle msg note record req rules text
	token cache limit engine engine_full klero_verify)
bad=0

find "$build" -name '*.gcda' -delete
for t in "${tests[@]}"; do
	timeout 120 "$build/tests/test_$t" >/dev/null 2>&1 || { echo "test_$t failed"; bad=1; }
done

files=()
for c in policy/*.c daemon/msg/*.c daemon/conf/*.c daemon/api/*.c daemon/net/{http,hdr,req}.c; do
	[ -f "$build/${c%.c}.gcno" ] && files+=("$build/${c%.c}.gcda")
done
gcov -b -c -n "${files[@]}" 2>/dev/null | awk -F"[':% ]+" '
	/^File/ { file = $2 }
	/^Lines executed/ { lines[file] = $3; nlines[file] = $5 }
	/^No branches/ { file = "" }
	/^Taken at least once/ && file ~ /\.c$/ {
		n = $NF; taken = $5 * n / 100
		printf "%6.1f %% of %4d branches  %6.1f %% of %4d lines  %s\n", $5, n, lines[file], nlines[file], file
		all += n; hit += taken
		dir = file; sub(/\/[^\/]*$/, "", dir); dall[dir] += n; dhit[dir] += taken
	}
	END {
		for (d in dall) printf "%6.1f %% of %4d branches  %s/ together\n", 100 * dhit[d] / dall[d], dall[d], d
		if (all) printf "%6.1f %% of %4d branches  ~ everything\n", 100 * hit / all, all
		else exit 1
	}' | sort -n || bad=1
exit $bad
