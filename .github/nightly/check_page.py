"""Open the page in a headless browser with no network, and fail if it does not show what it should.

python .github/nightly/check_page.py _data/report.html
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from others_words import annotate

BROWSERS: Final = ("google-chrome", "chromium", "chromium-browser", "chrome")
MOST_BYTES: Final = 2_000_000


def problems_of(page: Path) -> list[str]:
    """Say what is wrong with the page as a browser shows it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return ["There is no Chrome or Chromium to open the page with."]
    with tempfile.TemporaryDirectory() as profile:
        shown = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND",
                f"--user-data-dir={profile}",
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                "--dump-dom",
                page.resolve().as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    problems = [line.partition("CONSOLE")[2] for line in shown.stderr.splitlines() if "CONSOLE" in line]
    if shown.returncode:
        problems.append(f"The browser ended with {shown.returncode}.")
    if '<p id="lede" class="lede"></p>' in shown.stdout or 'id="lede"' not in shown.stdout:
        problems.append("The page says nothing.")
    problems += [f"There is no chart {name!r}." for name in re.findall(r'data-chart="(\w+)"></div>', shown.stdout)]
    if page.stat().st_size > MOST_BYTES:
        problems.append(f"It has {page.stat().st_size:,} bytes; {MOST_BYTES:,} are the most.")
    return problems


def main(page: str) -> int:
    """Check a page; return the exit code."""
    problems = problems_of(Path(page))
    for problem in problems:
        annotate("error", problem)
    if not problems:
        print(f"{page} opens without a network and shows its charts.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
