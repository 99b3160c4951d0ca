#!/usr/bin/env bash
# Keeps one issue open for as long as a workflow finds a problem. Says nothing where the repository has no issues.
#
# issue.sh LABEL TITLE PROBLEM GOOD: the issue is the one with that label; an empty PROBLEM closes it with the word GOOD.
set -euo pipefail
label=$1 title=$2 problem=$3 good=$4

run="${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
[ "$(gh repo view "$GITHUB_REPOSITORY" --json hasIssuesEnabled --jq .hasIssuesEnabled)" = true ] || exit 0
issue=$(gh issue list --repo "$GITHUB_REPOSITORY" --label "$label" --state open --json number --jq '.[0].number // empty')
if [ -z "$problem" ]; then
  [ -z "$issue" ] || gh issue close "$issue" --repo "$GITHUB_REPOSITORY" --comment "$good: $run"
elif [ -n "$issue" ]; then
  gh issue comment "$issue" --repo "$GITHUB_REPOSITORY" --body "$problem $run"
else
  gh label create "$label" --repo "$GITHUB_REPOSITORY" --force --description "Kept by a workflow" --color 0A5BC4
  gh issue create --repo "$GITHUB_REPOSITORY" --label "$label" --title "$title" --body "$problem $run

This issue is kept up to date, and closed by the next run that goes well."
fi
