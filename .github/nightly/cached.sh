#!/usr/bin/env bash
# Sees that the cache gave the lake that it has. Where it fails, it says nothing: the night would begin an empty lake, or
# go on with a part, and keep that as the newest.
#
# MATCHED is the key that was fetched, if any.
set -euo pipefail

if [ -z "$MATCHED" ]; then
  kept=$(gh cache list --repo "$GITHUB_REPOSITORY" --ref "$GITHUB_REF" --key lake- --limit 1 --json key --jq length)
  if [ "$kept" != 0 ]; then
    echo "::error::The cache has a lake and did not give it. Nothing is lost: run this job again."
    exit 1
  fi
fi
echo "lake=whole" >> "$GITHUB_OUTPUT"
