#!/usr/bin/env bash
# Runs a command that says other people's words (a post, a server's message): the runner takes nothing of it for a
# command of its own, such as `::add-mask::` or `##[error]`.
#
# as_data.sh COMMAND...
set -uo pipefail

# https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands: until the token is said again.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$token"
"$@" 2>&1
exit_code=$?
# On a line of its own, however the command has ended.
printf '\n::%s::\n' "$token"
exit "$exit_code"
