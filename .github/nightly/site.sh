#!/usr/bin/env bash
# Lays out what is published (site/: the report, dbt's docs under /dbt) and what is kept with the run (artifact/).
#
# Everybody may download the artifacts of a public repository, and the warehouse knows what its authors deleted: there
# the artifact holds the reports alone, which name only who may be published.
set -euo pipefail

(cd dbt && dbt docs generate --static --no-compile)
mkdir -p site/dbt artifact
cp _data/report.html site/index.html
cp dbt/target/static_index.html site/dbt/index.html
cp _data/report.html artifact/

is_private=$(gh api "repos/${GITHUB_REPOSITORY:-}" --jq .private 2> /dev/null || echo false)
if [ "$is_private" = true ]; then
  cp _data/bluesky.duckdb artifact/
else
  python .github/nightly/reports.py _data/bluesky.duckdb artifact/bluesky-reports.duckdb
fi
