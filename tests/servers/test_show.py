"""`dlt pipeline bluesky show`, with the extra `show`, in a browser; `dlt pipeline bluesky info` without it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import needs_browser, open_chrome
from tests.bucket_nights import BucketNights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.sample.appview.server import SampleServer
    from tests.conftest import Lake

SHOW = Path(__file__).parent / "show" / ".venv" / "bin"

CLICK = """
    function* elements(root) {
        for (const element of root.querySelectorAll("*")) {
            yield element;
            if (element.shadowRoot) yield* elements(element.shadowRoot);
        }
    }
    const buttons = [...elements(document)].filter(({ tagName }) => tagName === "BUTTON");
    const button = buttons.find(({ textContent }) => textContent.trim() === arguments[0]);
    button?.click();
    return Boolean(button);
"""


@pytest.fixture
def night(sample_server: SampleServer, lake: Lake) -> BucketNights:
    """A night into a local lake."""
    night = BucketNights(sample_server, lake.folder, {})
    night.pull(1, "machine")
    return night


@contextmanager
def dashboard(night: BucketNights) -> Iterator[str]:
    """Run `dlt pipeline bluesky show` until the end of the block, and give its address."""
    with subprocess.Popen(
        [SHOW / "dlt", "pipeline", "bluesky", "show"],
        cwd=night.project,
        env=environment(night) | {"PATH": f"{SHOW}{os.pathsep}{os.environ['PATH']}", "BROWSER": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://localhost:\d+", line)))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def environment(night: BucketNights) -> dict[str, str]:
    return os.environ | {"DLT_DATA_DIR": str(night.project / "machine"), "PYTHONUNBUFFERED": "1"}


@needs_browser
@pytest.mark.skipif(not SHOW.is_dir(), reason="the extra `show` is not installed (tests/servers/setup.sh)")
def test_the_dashboard_shows_the_tables_and_their_rows(night: BucketNights) -> None:
    with dashboard(night) as address, open_chrome(host="localhost") as chrome:
        chrome.get(address)
        page = WebDriverWait(chrome, 60)

        def text_after(button: str, sign: str) -> str:
            """Press a button until something is shown: at first there is none, or it does nothing yet."""

            def text_with_sign(_: object) -> str:
                chrome.execute_script(CLICK, button)
                text = chrome.find_element(By.TAG_NAME, "body").text
                return text if sign in text else ""

            return page.until(text_with_sign)

        shown = text_after("Load row counts", "row_count")
        for table in ("author_feed", "feed_pulls", "profiles", "starter_pack_members"):
            ((count,),) = night.query(f"select count(*) from read_parquet('$lake/{table}/**/*.parquet')")
            assert f"\n{table}\n{count:,}\n" in shown
        shown = text_after("Run Query", "\ndid:plc:")
        assert set(re.findall(r"\n(did:plc:\S+)\n", shown)) & set(night.members)


def test_info_tells_of_the_run(night: BucketNights) -> None:
    told = subprocess.run(
        [Path(sys.executable).with_name("dlt"), "pipeline", "bluesky", "info"],
        cwd=night.project,
        env=environment(night),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "author_feed with 1 table(s)" in told
    assert "Has 1 completed load packages" in told
