"""The page in a real browser, from a file, with the network cut."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from pipelines.report import render
from tests.browser import needs_browser, open_chrome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

    from tests.report.conftest import Published

pytestmark = needs_browser


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    with open_chrome() as driver:
        yield driver


class Page:
    """The page as a reader has it."""

    def __init__(self, chrome: webdriver.Chrome, file: Path) -> None:
        self.chrome = chrome
        self._log: Callable[[str], list[dict[str, Any]]] = chrome.get_log
        chrome.get(file.as_uri())

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def choose(self, name: str, value: object) -> None:
        self.chrome.execute_script("arguments[0].click()", self.one(f'input[name="{name}"][value="{value}"]'))

    def complaints(self) -> list[str]:
        return [str(entry["message"]) for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Give what was asked for, apart from the file itself."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("file:", "data:"))]


@pytest.fixture
def page(chrome: webdriver.Chrome, published: Published) -> Page:
    return Page(chrome, published.page)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_every_chart_is_drawn_and_nothing_is_asked_for(page: Page) -> None:
    charts = {element.get_attribute("data-chart"): element for element in page.all("[data-chart]")}
    assert charts.keys() == {"activity", "hours", "growth", "network", "calendar", "nights"}
    for name, element in charts.items():
        drawn = element.find_element(By.CSS_SELECTOR, "svg")
        assert int(drawn.get_attribute("data-marks") or 0) > 1, name
        assert drawn.size["height"] > 20, name
        assert drawn.get_attribute("aria-label"), name
    assert page.complaints() == []
    assert page.requests() == []


def test_filters_change_what_is_said_to_what_the_content_says(page: Page, published: Published) -> None:
    content = published.content
    for place, pack in enumerate(content["packs"]):
        page.choose("pack", place)
        assert page.one("#lede b").text == f"{pack['member_count']} members"
        if place:
            assert page.one("h1").text == pack["name"]
        for period in content["periods"]:
            page.choose("period", period["name"])
            view = content["views"][place][period["name"]]
            shown = [number(text) for text in page.texts('[data-legend="activity"] b')]
            assert shown == [
                sum(view["bins"][content["kinds"].index(kind)]) for kind in ("original", "quote", "reply", "repost")
            ]
            quoted = [content["posts"][index]["text"] for index in view["top"][:6]]
            assert len(page.all('[data-list="top"] .post')) == len(quoted)
            if quoted and quoted[0]:
                assert page.one('[data-list="top"] .text').text.split() == quoted[0].split()
        week = content["views"][place]["week"]
        tiles = dict(zip(page.texts(".tile h2"), map(number, page.texts(".tile .number")), strict=True))
        assert tiles["People active"] == week["summary"]["active"]
        assert tiles["Reactions received"] == week["summary"]["reactions"]
        assert tiles["Replies"] == sum(week["bins"][content["kinds"].index("reply")])
        written = re.findall(r"[\d,]+", page.texts("#lede b")[1])
        assert [number(found) for found in written] == [tiles["Posts"], tiles["Replies"]]
    assert page.complaints() == []


def test_table_is_sorted_and_searched(page: Page, published: Published) -> None:
    content = published.content

    def name_of(member: dict[str, Any]) -> str:
        person = content["people"][member["who"]]
        return str(person["name"] or person["handle"])

    page.one('[data-sort="followers_count"]').click()
    most = sorted(content["members"], key=lambda row: -(row["followers_count"] or 0))
    assert page.texts("#people tbody .names > :first-child")[:5] == [name_of(row) for row in most[:5]]
    assert page.one('th[aria-sort="descending"]').text.startswith("Followers")
    page.one('[data-sort="followers_count"]').click()
    assert page.one('th[aria-sort="ascending"]').text.startswith("Followers")
    assert len(page.all("#people tbody tr")) == 15
    page.one("#all-people").click()
    assert len(page.all("#people tbody tr")) == len(content["members"])

    wanted = content["people"][most[0]["who"]]["handle"]
    page.one("#search").send_keys(f"@{wanted.upper()}")
    assert page.texts("#people tbody .names > :first-child") == [name_of(most[0])]
    assert page.one("#found").text == f"1 of {len(content['members'])} people"
    page.one("#search").send_keys("no such person")
    assert page.texts("#people tbody tr") == []
    assert page.complaints() == []


def test_table_links_to_what_people_link_to(page: Page, published: Published) -> None:
    page.one('[data-sort="links"]').click()
    (most,) = page.all("#people tbody tr:first-child .own-links")
    shown = [(link.text, link.get_attribute("href")) for link in most.find_elements(By.CSS_SELECTOR, "a")]
    assert shown == [
        ("All <b>links</b> of today", "https://news.example.com/daily"),
        ("example.com/archive?year=2026", "https://www.example.com/archive?year=2026"),
    ]
    some = sum(row["links"] is not None for row in published.content["members"])
    assert len(page.all("#people .own-links")) == some
    assert page.complaints() == []


def test_keyboard_reads_a_chart(page: Page) -> None:
    surface = page.one('[data-chart="activity"] .surface')
    surface.send_keys(Keys.ARROW_RIGHT)
    first = page.one('[data-chart="activity"] .tip.is-shown').text
    surface.send_keys(Keys.ARROW_RIGHT)
    assert first != page.one('[data-chart="activity"] .tip.is-shown').text
    assert "replies" in first
    surface.send_keys(Keys.ESCAPE)
    assert page.all('[data-chart="activity"] .tip.is-shown') == []
    page.one('[data-chart="activity"] summary').click()
    # The browser tells the page that the details were opened only after the click.
    rows = '[data-chart="activity"] details tbody tr'
    WebDriverWait(page.chrome, 10).until(lambda _: page.all(rows))
    assert len(page.all(rows)) == 7


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (360, "light"),
        (1280, "dark"),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in ((360, "dark"), (768, "light"), (1280, "light"))),
    ],
)
def test_fits_the_screen(page: Page, width: int, scheme: str) -> None:
    page.chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    page.chrome.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        page.chrome.refresh()
        assert page.chrome.execute_script("return document.documentElement.scrollWidth") <= width
        red, *_ = page.chrome.execute_script(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        assert (red > 128) == (scheme == "light")
        assert page.complaints() == []
    finally:
        page.chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_hostile_words_stay_words(chrome: webdriver.Chrome, published: Published, tmp_path: Path) -> None:
    content = published.content
    nasty = "</script><img src=x onerror='window.hurt=1'><script>window.hurt=1</script>\u202eesrever\u200f" + "W" * 400
    view = content["views"][0]["week"]
    content["packs"][1]["name"] = nasty
    content["packs"][1]["url"] = "javascript:window.hurt=1"
    content["posts"][view["top"][0]]["text"] = nasty
    for person in content["people"]:
        person["name"] = nasty
    view["links"][0] |= {"uri": "javascript:window.hurt=1", "title": nasty}
    view["domains"][0]["name"] = "x.test/\"onmouseover='window.hurt=1'"
    view["hashtags"][0]["name"] = nasty
    for member in content["members"]:
        member["links"] = [
            {"url": "javascript:window.hurt=1", "title": nasty},
            {"url": "http://x.test/", "title": None},
            {"url": "https://x.test/\"onmouseover='window.hurt=1'", "title": nasty},
            {"url": None, "title": None},
        ]
    file = tmp_path / "hostile.html"
    file.write_text(render(content), encoding="utf-8")
    page = Page(chrome, file)
    for link in page.all("a[href]"):
        assert (link.get_attribute("href") or "").startswith(("https://", "http://", "file://"))
    own_links = page.all(".own-links a[href]")
    assert len(own_links) == len(page.all(".own-links")) == len(page.all("#people tbody tr"))
    for link in own_links:
        assert (link.get_attribute("href") or "").startswith("https://x.test/")
    for element in page.all(".surface"):
        element.send_keys(Keys.ARROW_RIGHT)
    assert page.one('[data-list="top"] .text').text.startswith("</script><img src=x")
    assert page.chrome.execute_script("return window.hurt") is None
    assert page.chrome.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.complaints() == []


def test_a_lake_without_any_load_says_so(chrome: webdriver.Chrome, tmp_path: Path) -> None:
    file = tmp_path / "empty.html"
    file.write_text(render({"observed_at": None, "packs": []}), encoding="utf-8")
    page = Page(chrome, file)
    assert "Nothing has been pulled yet" in page.one("#lede").text
    assert page.complaints() == []
