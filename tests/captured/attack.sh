#!/bin/sh
# The long forms of everything about captured processes: who speaks to a role (peers.sh), and what a
# role that obeys its attacker can reach (roles.sh).
#
#	tests/captured/attack.sh BUILD
set -eu
here=$(dirname "$0")
status=0
for part in peers roles; do
	[ ! -x "$here/$part.sh" ] || "$here/$part.sh" "$1" long || status=1
done
exit $status
