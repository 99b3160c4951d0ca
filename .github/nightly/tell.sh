#!/usr/bin/env bash
# Keeps one issue open for as long as the nights go wrong, and tells a chat, if one is set.
#
# NIGHT and PUBLISH are the results of those jobs, UNREAD=yes says that the pull could not read something.
set -euo pipefail

run="${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
if [ "$NIGHT" != success ]; then
  problem="The night did not come to its end ($NIGHT). The next one goes on from what is in the lake."
elif [ "$PUBLISH" != success ]; then
  problem="The data is there, but the page could not be published ($PUBLISH)."
elif [ "${UNREAD:-}" = yes ]; then
  problem="The night is published, but something could not be read: it is named in the run's summary, and asked for again next night."
fi

bash "$(dirname "$0")/../issue.sh" nightly "The nightly needs a look" "${problem:-}" "A night went well again"

if [ -n "${problem:-}" ] && [ -n "${CHAT_WEBHOOK_URL:-}" ]; then
  # Slack and Mattermost read `text`, Discord reads `content`. The address is a secret, so it is no argument.
  message=$(jq --null-input --arg text "$GITHUB_REPOSITORY: $problem $run" '{text: $text, content: $text}')
  curl --config - --silent --show-error --fail --max-time 30 --retry 3 --output /dev/null \
    --header "Content-Type: application/json" --data "$message" <<< "url = \"$CHAT_WEBHOOK_URL\"" \
    || echo "::warning::The chat could not be told."
fi

# A run that left something unread is red, so that nobody takes it for a good one.
[ -z "${problem:-}" ]
