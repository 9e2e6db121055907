#!/bin/bash
# What is asked of the Debian packages of the last commit: `make check-deb`. Needs root. They are
# built twice (equal bytes), examined by lintian, blhc, hardening-check and systemd-analyze, and
# then used as an operator would: in a fresh Debian with systemd as PID 1, from `apt install` to a
# verified draw, through upgrade and reboot, to removal and purge.
#
#	tests/packages/deb.sh DEPS                  packages built here, in a system of this release
#	tests/packages/deb.sh - RELEASE DIR [OLD]   those in DIR, built on RELEASE, in such a system;
#	                                            with OLD, after the older ones there, and upgraded
#
# A line per check, "ok" or "not ok"; then the figures. Everything is in a folder of its own, in
# which the system runs that systemd-nspawn boots; it shares the network (apt, curl) and nothing else.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. packaging/apt.sh
. tests/root.sh

deps=$1
packages=${3-}
old=${4-}
release=${2:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
program=check-deb
leader='' nspawn=''
export LC_ALL=C.UTF-8

[ "$(id -u)" = 0 ] || cannot "boot a system: needs root"
mkdir -p build
work=$(mktemp -d "$PWD/build/check-deb.XXXXXX")
dir=$work
root=$work/root
ca=$root/etc/kleroterion/tls/certificate.pem
. tests/packages/lib.sh

# Not of those that the kernel gives to connections: while klerod.socket is closed for a moment, one of
# somebody else's would take it, and hold it for a minute after its end (TIME_WAIT): EADDRINUSE.
free_port() {
	/usr/bin/python3 -c 'import sys; sys.path.insert(0, "tests/system"); import klero; print(klero.free_port())'
}

inside() {
	nsenter -t "$leader" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

power_on() {
	# nspawn wants a cgroup tree of version 2; the machine's own stays as it is, and each system has a
	# branch of its own. Locked memory, Landlock
	# and the right to set up a network namespace are what a machine has and a container of
	# nspawn's has not; without the last one systemd leaves PrivateNetwork out.
	unshare --mount bash -c 'mount -t cgroup2 none /sys/fs/cgroup && mkdir -p "$2" && echo $$ >"$2/cgroup.procs" &&
		exec systemd-nspawn -q -D "$1" -M "${2##*/}" --register=no --keep-unit -b --console=read-only \
			--capability=CAP_IPC_LOCK,CAP_NET_ADMIN --system-call-filter="@memlock landlock_create_ruleset landlock_add_rule landlock_restrict_self"' \
		boot "$root" "/sys/fs/cgroup/klero-check-$$" >>"$work/boot.log" 2>&1 </dev/null &
	nspawn=$!
	for ((i = 0; i < 300; i++)); do
		leader=$(pgrep -o -P "$nspawn" -x systemd) && break
		sleep 0.1
	done
	[ -n "$leader" ] || return 1
	for ((i = 0; i < 300; i++)); do
		[ "$(inside systemctl is-active multi-user.target 2>&1)" = active ] && return 0
		sleep 0.2
	done
	return 1
}

power_off() {
	[ -n "$nspawn" ] || return 0
	inside systemctl poweroff >/dev/null 2>&1
	for ((i = 0; i < 300; i++)); do
		kill -0 "$nspawn" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL "$nspawn" 2>/dev/null
	wait "$nspawn" 2>/dev/null
	nspawn='' leader=''
	unshare --mount bash -c 'mount -t cgroup2 none /sys/fs/cgroup && find "$1" -depth -type d -exec rmdir {} +' \
		leave "/sys/fs/cgroup/klero-check-$$" 2>/dev/null
}

finish() {
	power_off
	rm -rf "$work"
	counted || exit 1
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- the files ---

hardened() {
	local f n
	for f in "$work"/x/usr/sbin/* "$work"/x/usr/bin/* "$work"/x/usr/libexec/kleroterion/*; do
		head -c 4 "$f" | grep -q ELF || continue
		# Debian 12's own start files lack the mark of control flow integrity
		hardening-check --nocfprotection "$f" || n=1
	done
	return ${n:-0}
}

built() {
	for d in klerod klero-verify klerod-dbgsym klero-verify-dbgsym; do
		cmp "$work"/1/${d}_*.deb "$work"/2/${d}_*.deb || return 1
	done
}

completes() {
	bash -c '. "$1"; COMP_WORDS=(kleroctl key ro); COMP_CWORD=2; _kleroctl; echo "${COMPREPLY[*]}"
		COMP_WORDS=(kleroctl proposal ""); COMP_CWORD=2; _kleroctl; echo "${COMPREPLY[*]}"
		COMP_WORDS=(kleroctl -c x se); COMP_CWORD=3; _kleroctl; echo "${COMPREPLY[*]}"
		COMP_WORDS=(kleroctl hsm check --to); COMP_CWORD=3; _kleroctl; echo "${COMPREPLY[*]}"' - \
		"$work/x/usr/share/bash-completion/completions/kleroctl" >"$work/completed" 2>&1
	[ "$(cat "$work/completed")" = $'rotate roll-back\nlist show approve reject\nsetup\n--token' ] &&
		zsh -n "$work/x/usr/share/zsh/vendor-completions/_kleroctl"
}

# As Prometheus and Grafana would read them from the package.
watched_by() {
	local dir=$work/x/usr/share/kleroterion/monitoring
	promtool check rules "$dir/klerod.rules.yml" && (cd "$dir" && promtool test rules klerod.rules.test.yml) &&
		/usr/bin/python3 -c 'import json, sys; sys.exit(not json.load(open(sys.argv[1]))["panels"])' "$dir/kleroterion.json"
}

# Nothing to say but what an override explains.
clean() {
	lintian --allow-root --pedantic -I "$work"/1/*.changes >"$work/lintian" 2>&1 || [ $? -le 2 ] || return
	cat "$work/lintian"
	! grep -v '^N:' "$work/lintian"
}

examine() {
	check build packaging/deb.sh "$deps" "$work/1" || return
	check 'build again, elsewhere' env TMPDIR="$work" packaging/deb.sh "$deps" "$work/2"
	check 'equal bytes' built
	check lintian clean
	check blhc blhc --all "$work/1/build.log"
	for p in "$work"/1/klerod_*.deb "$work"/1/klero-verify_*.deb; do
		dpkg-deb -x "$p" "$work/x"
	done
	check hardening-check hardened
	check 'the profile of AppArmor' apparmor_parser -Q -K packaging/apparmor/usr.sbin.klerod
	for p in klerod klero-verify; do
		dpkg-deb -x "$work/1/${p}"_*.deb "$work/$p"
		check "the SPDX document of $p" tests/packages/sbom.py "$work/1/${p}"_*.deb "$work/$p"
	done
	check completion completes
	check 'alert rules and a dashboard' watched_by
}

# --- the system ---

# Every path of ours, with the letter of a stage: see deb.files.
files_are() {
	inside find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /var/lib/dpkg \
		-o -path /var/lib/systemd -o -path /usr/share/doc -o -path /usr/share/lintian -o -path /var/cache -o -path /var/backups -o -path /var/log -o -path /var/tmp \) -prune \
		-o -path '*klero*' ! -path '/var/lib/kleroterion/*' ! -path '/var/lib/kleroterion-tokens/*' \
		! -path '/var/lib/kleroterion-acme/*' -printf '%m %u %g %p\n' |
		sed 's| /usr/lib/systemd/system| /lib/systemd/system|' | sort >"$work/is"
	sed -n "s/^[A-Z]*$1[A-Z]* *//p" tests/packages/deb.files | if [ -n "$old" ]; then grep -v 'etc/kleroterion/acme\|kleroterion-acme$'; else cat; fi |
		sort >"$work/shall"
	diff "$work/shall" "$work/is"
}

state() {
	[ "$(inside systemctl is-active klerod.service)" = "$1" ]
}

# systemctl waits until klerod says that it is ready.
starts() {
	inside systemctl start klerod && return
	inside journalctl --no-pager -n 30 -u klerod -u klerod.socket
	return 1
}

# As often as the tests want: who restarts klerod five times in a minute is kept from it.
restart() {
	inside systemctl reset-failed klerod
	inside systemctl restart klerod
}

# The first answer; klerod may be starting.
answers() {
	for ((i = 0; i < 600; i++)); do
		[ "$(curl -s -o /dev/null -w '%{http_code}' --cacert "$ca" "$api/health/ready")" = 200 ] && return 0
		sleep 0.05
	done
	inside journalctl --no-pager -n 30 -u klerod
	return 1
}

# As the operator would, who serves on another port: nothing else here can be taken for granted.
configure() {
	sed -i "s/^listen .*/listen 127.0.0.1:$port/" "$root/etc/kleroterion/klerod.conf"
	inside systemctl daemon-reload
}

roles_have_users() {
	inside ps -eo user:16=,comm= | sed -n 's/ *klerod-.*//p' | sort -u >"$work/users"
	printf 'klero-%s\n' engine hsm kdf net tlskey | diff - "$work/users"
}

# The README's first draw, by the programs of the package.
draw() {
	sed -n '/^<!-- first draw/,/^<!-- end/p' README.md | sed -n '/^```sh/,/^```/p' | grep -v '^```' |
		sed -e 's|build/out/bin/kleroctl -c [^ ]*|inside kleroctl|' \
			-e 's|build/out/bin/klero-verify -c "$commit" proof.json|inside klero-verify -c "$commit" - <proof.json|' \
			-e "s|^export CURL_CA_BUNDLE=.*|export CURL_CA_BUNDLE=$ca|" \
			-e "s|^api=.*|api=$api/api/v1|" >"$work/draw.sh"
	# the raffle's name is what is asked for again, after removal and return
	echo 'echo "$api/raffles/$raffle/proof" >proof.url' >>"$work/draw.sh"
	(cd "$work" && set -e && . ./draw.sh) && grep -q VERIFIED "$work/out"
}

same_proof() {
	answers && curl -sS --fail --cacert "$ca" "$(cat "$work/proof.url")" | cmp - "$work/proof.json"
}

# And its first deposit addresses, by what the draw has defined.
pools() {
	echo 'payout-limit evm:11155111 10000000000000000 100000000000000000/86400' >>"$root/etc/kleroterion/klerod.conf"
	restart && answers || return
	grep -E '^(export CURL|api=|(call|field|login|as_admin)\(\)|admin=)' "$work/draw.sh" >"$work/pools.sh"
	sed -n '/^<!-- pools/,/^<!-- end/p' README.md | sed -n '/^```sh/,/^```/p' | grep -v '^```' >>"$work/pools.sh"
	(cd "$work" && set -e && . ./pools.sh) && grep -q '^0x02' "$work/out"
}

# klerod ends with 4, and nobody starts it again by itself.
refused() {
	inside sh -c 'cp -p /etc/kleroterion/keys.pin /root/ && echo 00000000 >/etc/kleroterion/keys.pin'
	restart
	for ((i = 0; i < 300; i++)); do
		state failed && break
		sleep 0.1
	done
	sleep 6 # RestartSec, and a bit
	inside systemctl show -p ActiveState,NRestarts,ExecMainStatus klerod | tee "$work/now"
	inside mv /root/keys.pin /etc/kleroterion/keys.pin
	inside systemctl reset-failed klerod
	inside systemctl start klerod && answers &&
		[ "$(sort "$work/now" | tr '\n' ' ')" = 'ActiveState=failed ExecMainStatus=4 NRestarts=0 ' ]
}

back_up() {
	apt_inside install age && inside kleroctl backup --with-token /root/klero-backup &&
		inside kleroctl restore --check /root/klero-backup
}

# On a machine with the packages and nothing else: the README's restore.
restore() {
	cp "$work/officer" "$root/root/officer"
	inside sh -ec 'mkdir /root/safe; mv /etc/kleroterion/*.pin /root/safe/; rm -r /etc/kleroterion /var/lib/kleroterion*'
	install_packages || return
	inside sh -ec 'umask 077
		kleroctl unpack configuration /root/klero-backup >/etc/kleroterion/klerod.conf
		mkdir /var/lib/kleroterion-tokens
		kleroctl unpack token /root/klero-backup | age -d -i /root/officer | tar -xf - -C /var/lib/kleroterion-tokens
		cp /root/safe/*.pin /etc/kleroterion/
		kleroctl restore /root/klero-backup' && inside systemctl daemon-reload && inside systemctl start klerod
}

# with_credentials SETTING FOLDER: PINs as systemd's credentials.
with_credentials() {
	local pin
	inside mkdir -p -m 700 "$2" /etc/systemd/system/klerod.service.d
	echo '[Service]' >"$root/etc/systemd/system/klerod.service.d/pins.conf"
	for pin in keys.pin tls.pin; do
		if [ "$1" = LoadCredentialEncrypted ]; then
			inside systemd-creds encrypt --name=$pin /etc/kleroterion/$pin "$2/$pin" || return
		else
			inside cp -p /etc/kleroterion/$pin "$2/$pin"
		fi
		inside mv /etc/kleroterion/$pin /root/
		echo "$1=$pin:$2/$pin" >>"$root/etc/systemd/system/klerod.service.d/pins.conf"
	done
	sed -i "s|^\(.*-pin-file\) /etc/kleroterion/|\1 /run/credentials/klerod.service/|" "$root/etc/kleroterion/klerod.conf"
	inside systemctl daemon-reload
	restart && answers
}

without_credentials() {
	inside sh -c 'mv /root/*.pin /etc/kleroterion/; rm -r /etc/systemd/system/klerod.service.d'
	sed -i "s|/run/credentials/klerod.service/|/etc/kleroterion/|" "$root/etc/kleroterion/klerod.conf"
	inside systemctl daemon-reload
	restart && answers
}

# A network namespace with nothing in it; hidden files; what systemd and the journal are told.
confined() {
	local main
	main=$(inside systemctl show -P MainPID klerod)
	[ "$(inside readlink "/proc/$main/ns/net")" != "$(inside readlink /proc/1/ns/net)" ] &&
		[ "$(inside cat "/proc/$main/net/dev" | grep -c :)" = 1 ] &&
		[ -z "$(inside cat "/proc/$main/root/etc/shadow")" ] && inside grep -q root: /etc/shadow &&
		[ "$(inside systemctl show -P StatusText klerod)" = "serves https://127.0.0.1:$port" ]
}

tells_the_journal() {
	inside journalctl --no-pager -o json -u klerod KLERO_ROLE=parent >"$work/fields"
	grep -q '"PRIORITY":"6"' "$work/fields" && grep -q '"KLERO_LEVEL":"info"' "$work/fields" &&
		grep -q '"SYSLOG_IDENTIFIER":"klerod"' "$work/fields"
}

# Closed and opened again at once, many times: no process of ours is left with the port.
reopens() {
	for ((n = 0; n < 15; n++)); do
		inside systemctl reset-failed klerod.service klerod.socket
		inside systemctl restart klerod.socket || { inside journalctl --no-pager -n 20 -u klerod.socket; return 1; }
	done
	inside systemctl start klerod && answers
}

# With its socket klerod stops, and no client starts it again.
stops() {
	inside systemctl stop klerod.socket || return
	curl -s -o /dev/null --cacert "$ca" "$api/health/ready"
	[ $? = 7 ] && state inactive && inside systemctl start klerod && answers
}

# A parent that hangs says nothing any more.
watched() {
	local n
	inside mkdir -p /etc/systemd/system/klerod.service.d
	printf '[Service]\nWatchdogSec=6s\n' >"$root/etc/systemd/system/klerod.service.d/watchdog.conf"
	inside systemctl daemon-reload
	restart && answers || return
	sleep 8 # it lives longer than that
	inside systemctl show -p NRestarts -p WatchdogUSec klerod
	[ "$(inside systemctl show -P NRestarts klerod)" = 0 ] || return
	inside kill -STOP "$(inside systemctl show -P MainPID klerod)"
	for ((i = 0; i < 600; i++)); do
		n=$(inside systemctl show -P NRestarts klerod)
		[ "$n" = 1 ] && break
		sleep 0.1
	done
	inside rm -r /etc/systemd/system/klerod.service.d
	inside systemctl daemon-reload
	echo "restarts: $n"
	inside journalctl --no-pager -n 20 -u klerod
	# not grep -q: it would leave while journalctl still writes
	[ "$n" = 1 ] && answers && inside journalctl --no-pager -u klerod | grep 'Watchdog timeout'
}

# With one officer, who rotates the TLS key below; with backups, and a certificate by ACME to come.
setup() {
	ssh-keygen -q -N '' -t ed25519 -C officer -f "$work/officer" || return
	echo "officer $(cat "$work/officer.pub")" >"$root/root/officers"
	if [ -n "$old" ]; then
		# the older packages' setup may not know of the rest
		inside kleroctl setup 1 /root/officers
		return
	fi
	printf '%s\n' 'officers /root/officers' 'threshold 1' 'backup-folder /var/backups/raffles' 'backup-keep 2' \
		'certificate acme' 'acme-mail operator@example.org' "acme-server https://localhost:$acme_port/dir" >"$root/root/answers"
	inside kleroctl setup --answers /root/answers && inside systemctl daemon-reload
}

# count_backups N: so many are there, each whole.
count_backups() {
	[ "$(inside find /var/backups/raffles -name 'klero-localhost-*Z' | wc -l)" = "$1" ]
}

# By the unit, and by the timer, which nobody has enabled; two remain.
nightly() {
	[ "$(inside systemctl is-enabled klerod-backup.timer)" = disabled ] && count_backups 0 || return
	for n in 1 2 2; do
		inside systemctl start klerod-backup.service || { inside journalctl --no-pager -n 20 -u klerod-backup; return 1; }
		count_backups $n || return
		sleep 1.1 # a name is a second's
	done
	inside sh -c 'kleroctl restore --check "$(find /var/backups/raffles -type f | sort | tail -n 1)" && rm /var/backups/raffles/*' || return
	inside mkdir -p /etc/systemd/system/klerod-backup.timer.d
	printf '[Timer]\nRandomizedDelaySec=0\nOnCalendar=\nOnCalendar=*:*:*\nAccuracySec=1s\n' >"$root/etc/systemd/system/klerod-backup.timer.d/soon.conf"
	inside systemctl daemon-reload
	inside systemctl enable --now klerod-backup.timer || return
	for ((i = 0; i < 300; i++)); do
		count_backups 1 && break
		sleep 0.1
	done
	inside systemctl disable --now klerod-backup.timer
	inside rm -r /etc/systemd/system/klerod-backup.timer.d
	inside systemctl daemon-reload
	[ "$i" -lt 300 ]
}

# pebble, Let's Encrypt's test server, inside: certbot there asks it, and it asks certbot.
start_pebble() {
	apt_inside install certbot pebble || return
	inside mkdir /etc/pebble-check
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -keyout "$root/etc/pebble-check/key" -out "$root/etc/pebble-check/pem" || return
	cat >"$root/etc/pebble-check/json" <<-JSON
		{"pebble": {"listenAddress": "127.0.0.1:$acme_port", "managementListenAddress": "127.0.0.1:$(free_port)",
		"certificate": "/etc/pebble-check/pem", "privateKey": "/etc/pebble-check/key", "httpPort": $http_port,
		"tlsPort": $(free_port), "ocspResponderURL": "", "externalAccountBindingRequired": false}}
	JSON
	inside systemd-run --unit=pebble-check -E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0 pebble -config /etc/pebble-check/json
}

# The timer has certbot get a certificate, and klerod serve with it; the same connection goes on. Then
# the former certificate again, which the rest of this trusts.
by_acme() {
	local unit=/etc/systemd/system/klerod-acme.service.d
	[ "$(inside systemctl is-enabled klerod-acme.timer)" = disabled ] && grep -q operator@example.org "$root/etc/kleroterion/acme.conf" || return
	start_pebble || return
	cp -p "$ca" "$work/self.pem"
	sed -i 's/^tls-names .*/tls-names localhost/' "$root/etc/kleroterion/klerod.conf"
	sed -i "s/--standalone/& --http-01-address 127.0.0.1 --http-01-port $http_port/" "$root/etc/kleroterion/acme.conf"
	inside mkdir -p $unit
	printf '[Service]\nEnvironment=REQUESTS_CA_BUNDLE=/etc/pebble-check/pem\n' >"$root$unit/pebble.conf"
	inside mkdir -p /etc/systemd/system/klerod-acme.timer.d
	printf '[Timer]\nOnActiveSec=\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n' >"$root/etc/systemd/system/klerod-acme.timer.d/soon.conf"
	inside systemctl daemon-reload
	inside systemctl enable --now klerod-acme.timer || return
	for ((i = 0; i < 600; i++)); do
		cmp -s "$ca" "$work/self.pem" || break
		inside systemctl is-failed -q klerod-acme.service && break
		sleep 0.1
	done
	inside journalctl --no-pager -n 40 -u klerod-acme -u pebble-check
	for ((i = 0; i < 100; i++)); do
		openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -noout -issuer >"$work/served"
		grep Pebble "$work/served" && break
		sleep 0.1
	done
	inside systemctl disable --now klerod-acme.timer
	inside rm -r $unit /etc/systemd/system/klerod-acme.timer.d
	inside systemctl stop pebble-check
	inside systemctl daemon-reload
	sed -i 's/^tls-names .*/tls-names localhost 127.0.0.1/' "$root/etc/kleroterion/klerod.conf"
	cp "$work/self.pem" "$root/root/self.pem"
	inside kleroctl tls install /root/self.pem && inside rm -f /etc/kleroterion/tls/certificate.pem.old && answers && grep Pebble "$work/served"
}

# What the unit takes away from a role shows as a warning, after this start.
no_warnings() {
	local start
	start=_SYSTEMD_INVOCATION_ID=$(inside systemctl show -P InvocationID klerod)
	inside journalctl --no-pager -o cat "$start" >"$work/journal"
	inside journalctl --no-pager -o cat "$start" KLERO_LEVEL=warn KLERO_LEVEL=error KLERO_LEVEL=security >"$work/warnings"
	grep -q ready "$work/journal" && ! grep -vE "${1:-^$}" "$work/warnings"
}

# klerod has to write the certificate, in a tree that is read-only but for three folders.
rotate() {
	local id
	cp "$ca" "$work/old.pem"
	# a fresh hsm tells of its keys a little after the first answer
	for ((i = 0; i < 300; i++)); do
		inside kleroctl key list 2>/dev/null | grep '"known":true' >/dev/null && break
		sleep 0.1
	done
	id=$(inside kleroctl key rotate tls) || return
	inside kleroctl proposal show "$id" | ssh-keygen -q -Y sign -n kleroterion -f "$work/officer" >"$work/signature" || return
	inside kleroctl proposal approve "$id" <"$work/signature" || return
	for ((i = 0; i < 300; i++)); do
		cmp -s "$ca" "$work/old.pem" || break
		sleep 0.1
	done
	! cmp "$ca" "$work/old.pem" && cmp "$ca.old" "$work/old.pem" && answers && inside systemctl reload klerod && answers
}

# Without systemd running: what the packages' scripts leave behind in a bare system. The folder that is
# ignored is debconf's own.
through_piuparts() {
	TMPDIR=$work piuparts --existing-chroot="$base" --distribution="$release" --mirror="$(mirror)" --no-eatmydata --no-adequate \
		--ignore-regex='/var/cache/debconf/tmp[.]ci.*' --no-upgrade-test --install-purge-install "$work"/1/klerod_*.deb "$work"/1/klero-verify_*.deb
}

apt_inside() {
	inside apt-get -q -y -o Dpkg::Options::=--force-confdef "$@"
}

copy_packages() {
	cp "$1"/klerod_*.deb "$root/root/klerod.deb"
	cp "$1"/klero-verify_*.deb "$root/root/klero-verify.deb"
}

# shellcheck disable=SC2120 # some of its callers go through check
install_packages() {
	apt_inside install "$@" /root/klerod.deb /root/klero-verify.deb
}

# Everything that is the operator's, for before and after.
sums() {
	inside sh -c 'cd / && find etc/kleroterion var/lib/kleroterion var/lib/kleroterion-hsm var/lib/kleroterion-tokens -type f | sort | xargs sha256sum'
}

kept() {
	sums >"$work/sums.after"
	grep -q klero.keys "$work/sums" && diff "$work/sums" "$work/sums.after"
}

restarted() {
	inside systemctl show -p MainPID,ActiveState,SubState,Result klerod | tee "$work/now"
	echo "before: MainPID=$pid"
	grep -qx ActiveState=active "$work/now" && ! grep -qx "MainPID=$pid" "$work/now"
}

live() {
	local start

	check 'piuparts: install, purge, install, purge' through_piuparts
	check 'boot a fresh system' power_on || return
	check 'package lists' apt_inside update || return
	start=$(date +%s%N)
	check 'install both' install_packages || return
	[ -n "$old" ] || check 'files after the installation' files_are I
	check 'enabled, and not started without a setup' state inactive
	configure
	check 'kleroctl setup' setup || return
	check 'klerod -t' inside klerod -t
	check 'systemctl start' starts || return
	check 'first answer' answers || return
	first=$((($(date +%s%N) - start) / 1000000))
	check 'a user for each role' roles_have_users
	check 'no role warns' no_warnings
	[ -n "$old" ] || check 'files after the setup' files_are S
	check 'no network, no password hashes' confined
	check 'fields in the journal' tells_the_journal
	check 'systemctl stop klerod.socket stops both' stops
	check 'the watchdog' watched
	check 'the port, closed and opened again' reopens
	check 'a draw, verified' draw
	[ -n "$old" ] || check 'backups by their timer' nightly
	[ -n "$old" ] || check 'a certificate by ACME, by its timer' by_acme
	check 'PINs as encrypted credentials' with_credentials LoadCredentialEncrypted /etc/credstore.encrypted
	check 'and as files again' without_credentials
	check 'PINs as credentials' with_credentials LoadCredential /etc/credstore
	check 'and as files again' without_credentials
	check 'the TLS key rotated, the certificate replaced' rotate
	pid=$(inside systemctl show -P MainPID klerod)
	copy_packages "$work/1"
	check 'upgrade' install_packages --reinstall
	check 'restarted by the upgrade' restarted
	check 'files after the upgrade' files_are U
	check 'the same proof after the upgrade' same_proof
	check 'no role warns after the upgrade' no_warnings "${old:+made by an older klerod}"
	check 'a refused PIN ends it, once' refused
	check 'pools and payouts' pools
	check 'a backup, tried' back_up
	check 'kleroctl hsm check' inside kleroctl hsm check
	power_off
	check 'boot again' power_on
	check 'the same proof after a reboot' same_proof
	inside systemctl stop klerod
	sums >"$work/sums"
	check remove apt_inside remove klerod klero-verify
	check 'files after the removal' files_are R
	check 'data after the removal' kept
	check 'install again' install_packages
	check 'the same proof after a return' same_proof
	inside systemctl stop klerod
	sums | grep -v klerod.conf >"$work/sums"
	check purge apt_inside purge klerod klero-verify
	check 'files after the purge' files_are P
	check 'data after the purge' kept
	check 'restore on a bare machine' restore
	check 'the same proof after the restore' same_proof
}

need_debian
install build-essential debhelper dpkg-dev git lintian blhc devscripts debootstrap systemd-container zsh curl openssh-client piuparts \
	apparmor prometheus node-spdx-expression-parse node-spdx-license-ids
if [ -n "$packages" ]; then
	mkdir "$work/1"
	cp "$packages"/*.deb "$work/1/"
else
	examine
	[ -e "$work/x" ] || exit 1
fi

base=$PWD/build/release-$release-boot
make_root "$release" "$base" ca-certificates,dbus,procps,systemd-sysv,udev >"$work/root.log" 2>&1 ||
	cannot "make a root folder: $(tail -n 1 "$work/root.log")"
cp -a "$base" "$root"
# as Debian's installer writes it
echo '127.0.0.1 localhost' >"$root/etc/hosts"
copy_packages "${old:-$work/1}"
port=$(free_port) acme_port=$(free_port) http_port=$(free_port)
api=https://127.0.0.1:$port
first=0
live

figures=("apt install to the first answer=$((first / 1000)).$(printf %03d $((first % 1000))) s")
for p in "$work"/1/*.deb; do
	figures+=("$(basename "${p%%_*}").deb=$(stat -c %s "$p") bytes, $(dpkg-deb -f "$p" Installed-Size) KiB installed")
done
figures+=("exposure by systemd-analyze security=$(inside systemd-analyze security --offline=true --no-pager \
	/usr/lib/systemd/system/klerod.service 2>/dev/null | sed -n 's/.*klerod.service: \([0-9.]*\).*/\1/p')")
echo
printf '%s\n' "release=$release" "${figures[@]}"
tested "deb-$release${old:+-upgrade}" "packages, in a system booted by systemd${old:+, over older ones}" "$release" "${figures[@]}"
