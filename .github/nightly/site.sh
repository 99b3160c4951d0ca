#!/usr/bin/env bash
# Lays out what is published (site/: the report, the digest, dbt's docs under /dbt) and what is kept with the run
# (artifact/); what a chat is told goes to the job that tells it.
#
# Everybody may download the artifacts of a public repository, and the warehouse knows what its authors deleted: there
# the artifact holds the reports alone, which name only who may be published.
set -euo pipefail

(cd dbt && dbt docs generate --static --no-compile)
mkdir -p site/dbt artifact
cp _data/report.html site/index.html
cp dbt/target/static_index.html site/dbt/index.html
cp _data/digest.{md,xml} site/
cp _data/report.html _data/digest.{md,xml} artifact/
# As JSON, so that it is one line.
python -c 'import json, pathlib; print("digest=" + json.dumps(pathlib.Path("_data/digest.txt").read_text()))' \
  >> "${GITHUB_OUTPUT:-/dev/null}"

is_private=$(gh api "repos/${GITHUB_REPOSITORY:-}" --jq .private 2> /dev/null || echo false)
if [ "$is_private" = true ]; then
  cp _data/bluesky.duckdb artifact/
else
  python .github/nightly/reports.py _data/bluesky.duckdb artifact/bluesky-reports.duckdb
fi
