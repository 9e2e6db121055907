#!/bin/sh
# Other people's suites and tools against the real daemon. Run by `make peers`; takes about two
# minutes, and is no part of `make check`.
#
#	tests/peers/run.sh BIN DIR [ARGUMENT...]     DIR: where npm's packages go; the rest is pytest's
#
# Installs what is missing: from Debian nginx, haproxy, apache2, varnish and OpenSC (their own
# services are not started; where Debian starts one, it is stopped), and the npm packages of
# package-lock.json, whose scripts do not run.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2

packages=
need() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] || packages="$packages $1"
}

for p in nginx-light haproxy apache2 varnish opensc nodejs; do
	# a node that is here already, from wherever, will do
	[ "$p" = nodejs ] && command -v node >/dev/null && command -v npm >/dev/null && continue
	need "$p"
	[ "$p" = nodejs ] && need npm
done
if [ -n "$packages" ]; then
	as_root=
	[ "$(id -u)" = 0 ] || as_root=sudo
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $packages >"$dir/apt.log" 2>&1 || {
		echo "peers: cannot install$packages: $(sed -n 's/^E: //p' "$dir/apt.log" | head -n 1)" >&2
		exit 1
	}
	for p in $packages; do
		case $p in nginx-light) s=nginx ;; haproxy | apache2 | varnish) s=$p ;; *) continue ;; esac
		$as_root service "$s" stop >/dev/null 2>&1 || true
	done
fi

cp "$here/package.json" "$here/package-lock.json" "$here"/*.mjs "$here"/*.yaml "$dir"
if ! cmp -s "$dir/package-lock.json" "$dir/installed.json"; then
	(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	cp "$dir/package-lock.json" "$dir/installed.json"
fi

export KLERO_BIN="$bin" KLERO_PEERS="$dir" PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
exec /usr/bin/python3 -m pytest -q -rP -p no:cacheprovider "$here" "$@"
