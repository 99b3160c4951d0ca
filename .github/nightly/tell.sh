#!/usr/bin/env bash
# Keeps one issue open for as long as the nights go wrong, and tells a chat, if one is set; Monday's night tells it the
# digest of the week, too.
#
# NIGHT and PUBLISH are the results of those jobs, UNREAD=yes says that the pull could not read something. DIGEST is what
# to tell, as JSON, PAGE_URL where the page is, if it is published.
set -euo pipefail

tell_chat() {
  [ -n "${CHAT_WEBHOOK_URL:-}" ] || return 0
  # Slack and Mattermost read `text`, Discord reads `content`. The address is a secret, so it is no argument.
  local message
  message=$(jq --null-input --arg text "$GITHUB_REPOSITORY: $1" '{text: $text, content: $text}')
  curl --config - --silent --show-error --fail --max-time 30 --retry 3 --output /dev/null \
    --header "Content-Type: application/json" --data "$message" <<< "url = \"$CHAT_WEBHOOK_URL\"" \
    || echo "::warning::The chat could not be told."
}

run="${GITHUB_SERVER_URL:-https://github.com}/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
if [ "$NIGHT" != success ]; then
  problem="The night did not come to its end ($NIGHT). The next one goes on from what is in the lake."
elif [ "$PUBLISH" != success ]; then
  problem="The data is there, but the page could not be published ($PUBLISH)."
elif [ "${UNREAD:-}" = yes ]; then
  problem="The night is published, but something could not be read: it is named in the run's summary, and asked for again next night."
fi

bash "$(dirname "$0")/../issue.sh" nightly "The nightly needs a look" "${problem:-}" "A night went well again"

[ -z "${problem:-}" ] || tell_chat "$problem $run"

# By its schedule alone, so that no second run of a Monday tells it again, and nobody has to remember.
digest=$(jq --raw-output . <<< "${DIGEST:-\"\"}")  # without the line's end
if [ -n "$digest" ] && [ "$NIGHT" = success ] && [ "${GITHUB_EVENT_NAME:-}" = schedule ] && [ "$(date --utc +%u)" = 1 ]; then
  tell_chat "$digest"$'\n'"${PAGE_URL:-}"
fi

# A run that left something unread is red, so that nobody takes it for a good one.
[ -z "${problem:-}" ]
