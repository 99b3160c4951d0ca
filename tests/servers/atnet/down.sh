#!/usr/bin/env bash
# Stops what up.sh started in a folder, and removes the folder.
set -uo pipefail
run=$(cd "$1" && pwd) || exit 0
# The whole group: Node from PyPI is a child of the Python that starts it.
[ -f "$run/pid" ] && kill -TERM -- "-$(cat "$run/pid")" 2>/dev/null
as_postgres=()
[ "$(id -u)" = 0 ] && as_postgres=(runuser -u postgres --)
"${as_postgres[@]}" "$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)/pg_ctl" -D "$run/pg" -m immediate -s stop
rm -rf "$run"
