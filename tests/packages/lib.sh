#!/bin/bash
# What the tests of both kinds of packages share; they source this after setting $work, a folder of
# their own. A line per check, "ok" or "not ok".
# shellcheck disable=SC2154
passed=0 failed=0

# check NAME COMMAND...: its output is shown when it fails; the status is the command's
check() {
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name"
		return 0
	fi
	failed=$((failed + 1))
	echo "not ok $name"
	tail -n 40 "$work/out" | sed 's/^/# /'
	return 1
}

# tested NAME WHAT SYSTEM FIGURE...: for the table of the README.
tested() {
	local name=$1 what=$2 system=$3
	shift 3
	tests/packages/tested.py put "$name" "$what" "$system" "$passed" "$failed" "$@"
}

# counted: the last line; the status says whether all is well.
counted() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}
