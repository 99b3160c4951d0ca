#!/usr/bin/env bash
# Keeps one issue open for as long as the newest versions break something. RESULT is that of the job that tries them.
set -euo pipefail

problem=""
[ "$RESULT" = success ] || problem="With the newest of each dependency the sample or a test breaks ($RESULT): the run's jobs say which. Until both work, pyproject.toml's upper bound says why it is there."
bash "$(dirname "$0")/../issue.sh" versions "Newer versions break something" "$problem" "The newest versions work again"
[ -z "$problem" ]
