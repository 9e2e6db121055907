#!/bin/sh
# The seccomp filter of this Debian's sshd, as its sandboxed child loads it for a stranger who has
# only said hello: what our roles are compared with. Nothing is installed: the packages are unpacked
# into a temporary folder, the user and the folders that sshd wants exist in a mount namespace only.
#
#	tests/escape/openssh.sh BUILD FILE     FILE gets the filters (tests/tools/sift --filters)
set -eu

build=$(cd "$1" && pwd)
file=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/klero-ssh.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

(
	cd "$work"
	# shellcheck disable=SC2046
	apt-get -qq download openssh-server openssh-client $(apt-get -s --no-install-recommends install openssh-server |
		sed -n 's/^Inst \([^ ]*\).*/\1/p') >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
	for deb in *.deb; do dpkg -x "$deb" root; done
	{ cat /etc/passwd; echo "sshd:x:59899:59899::/run/sshd:/usr/sbin/nologin"; } >passwd
	root/usr/bin/ssh-keygen -q -t ed25519 -N '' -f hostkey
	{
		echo "ListenAddress 127.0.0.1"
		echo "HostKey $work/hostkey"
		echo "PidFile none"
		for part in session auth; do # Debian 13 has programs of their own for these
			p=$work/root/usr/lib/openssh/sshd-$part
			[ -e "$p" ] && echo "Sshd$(echo $part | sed 's/./\U&/')Path $p"
		done
		:
	} >conf
)
triplet=$(uname -m)-linux-gnu
export LD_LIBRARY_PATH="$work/root/usr/lib/$triplet:$work/root/lib/$triplet"
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# inside a chroot, as tests/release.sh makes it, the root is no mount; its namespace is private already
apart=private
unshare --mount true 2>/dev/null || apart=unchanged
unshare --mount --propagation $apart --pid --fork --kill-child --mount-proc sh -euc '
	mount --bind "$1/passwd" /etc/passwd
	mount -t tmpfs run /run
	mkdir -m 755 /run/sshd
	"$2/tools/sift" --filters "$3" "$1/root/usr/sbin/sshd" -D -e -f "$1/conf" -p "$4" 2>"$1/sshd.log" &
	/usr/bin/python3 - "$4" "$3" <<-"PY"
		import os, socket, sys, time
		port, filters = int(sys.argv[1]), sys.argv[2]
		for _ in range(200):
		    try:
		        s = socket.create_connection(("127.0.0.1", port), timeout=5)
		        break
		    except OSError:
		        time.sleep(0.05)
		s.sendall(b"SSH-2.0-hello\r\n")
		for _ in range(100):
		    if os.path.exists(filters) and os.path.getsize(filters):
		        sys.exit(0)
		    time.sleep(0.05)
		sys.exit("sshd has loaded no filter")
	PY
' ssh "$work" "$build" "$file" "$port" || { cat "$work/sshd.log" >&2; exit 1; }
