#!/usr/bin/env bash
# Starts Postgres and the network of network.mjs, and prints the path of the file that tells tests about it (ATNET_INFO).
# Usage: up.sh FOLDER. The folder holds all that runs; `down.sh FOLDER` stops it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/tmp"
run=$(cd "$1" && pwd)
postgres=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as_postgres=()
if [ "$(id -u)" = 0 ]; then # Postgres does not run as root
  as_postgres=(runuser -u postgres --)
  install -d -o postgres -m 700 "$run/pg" "$run/socket"
  chmod a+x "$run"
else
  mkdir -p "$run/socket"
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
[ -f "$run/pg/PG_VERSION" ] || "${as_postgres[@]}" "$postgres/initdb" -D "$run/pg" -U pg -A trust -E UTF8 --locale=C.UTF-8 >"$run/initdb.log"
"${as_postgres[@]}" "$postgres/pg_ctl" -D "$run/pg" -w -s -l "$run/pg/log" \
  -o "-p $port -c listen_addresses=127.0.0.1 -k $run/socket -c fsync=off -c max_connections=200" start
"$postgres/createdb" -h 127.0.0.1 -p "$port" -U pg "atnet_$port"

export ATNET_INFO="$run/info.json" DB_POSTGRES_URL="postgresql://pg@127.0.0.1:$port/atnet_$port"
export TMPDIR="$run/tmp" LOG_ENABLED=false
rm -f "$ATNET_INFO"
setsid node "$here/network.mjs" >"$run/out.log" 2>&1 </dev/null &
echo $! >"$run/pid"
for _ in $(seq 300); do
  [ -s "$ATNET_INFO" ] && echo "$ATNET_INFO" && exit 0
  kill -0 "$(cat "$run/pid")" 2>/dev/null || break
  sleep 0.5
done
tail -n 20 "$run/out.log" >&2
exit 1
