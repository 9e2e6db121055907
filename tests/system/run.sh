#!/bin/sh
# `make run`: an appliance in DIR that serves until Ctrl-C or SIGTERM.
#
#	tests/system/run.sh BIN DIR [PORT]     8443 without
set -eu

bin=$1 dir=$2
"$(dirname "$0")/provision.sh" "$bin" "$dir" "${3:-8443}" \
	"payout-limit evm:11155111 10000000000000000 50000000000000000/86400"
dir=$(cd "$dir" && pwd)
echo "CA file: $dir/tls.pem"
echo "log:     $dir/klerod.log"
exec "$bin/klerod" -c "$dir/klerod.conf"
