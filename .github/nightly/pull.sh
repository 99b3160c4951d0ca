#!/usr/bin/env bash
# Pulls the night. NIGHTLY_FULL=true reads every feed to its end; NIGHTLY_PACKS names other starter packs than the
# settings do. (dlt would take a plain FULL in the environment for a setting of its own.)
#
# Exit code 2 says that something could not be read, though the rest is loaded: the night goes on to publish that, and
# ends in a notice (see tell.sh).
set -uo pipefail

options=(--no-transform --no-report)
[ "${NIGHTLY_FULL:-}" = true ] && options+=(--full)
read -ra packs <<< "${NIGHTLY_PACKS:-}"
for pack in "${packs[@]}"; do
  options+=(--pack "$pack")
done

mkdir -p _data
# shellcheck disable=SC2016  # The inner shell's own.
bash "$(dirname "$0")/as_data.sh" bash -o pipefail -c '"$@" 2>&1 | tee _data/pull.log' - \
  python pipelines/bluesky.py "${options[@]}"
exit_code=$?
if [ "$exit_code" = 2 ]; then
  echo "unread=yes" >> "${GITHUB_OUTPUT:-/dev/null}"
  echo "::warning::Something could not be read this night; the rest is loaded."
  exit 0
fi
exit "$exit_code"
