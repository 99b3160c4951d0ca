"""A headless browser that reaches nothing but what it is allowed to."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROME = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(not (CHROME and DRIVER), reason="no Chromium with its driver is installed")


@contextmanager
def open_chrome(*, host: str | None = None) -> Iterator[webdriver.Chrome]:
    """Start a browser until the end of the block.

    Args:
        host: The one host whose name it resolves.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = CHROME or ""
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND" + (f", EXCLUDE {host}" if host else ""),
        "--force-prefers-reduced-motion",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
