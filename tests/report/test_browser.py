"""The page in a real browser, from a file, with the network cut."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from pipelines.exports.tables import FORMULA
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

    def __init__(self, chrome: webdriver.Chrome, file: Path, at: str = "") -> None:
        self.chrome = chrome
        self._log: Callable[[str], list[dict[str, Any]]] = chrome.get_log
        chrome.get("about:blank")
        chrome.get(file.as_uri() + at)

    def all(self, selector: str) -> list[WebElement]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.chrome.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.all(selector)]

    def choose(self, name: str, value: object) -> None:
        self.chrome.execute_script("arguments[0].click()", self.one(f'input[name="{name}"][value="{value}"]'))

    def wait(self, selector: str) -> WebElement:
        """Wait for what comes after the event that it is an answer to."""
        WebDriverWait(self.chrome, 10).until(lambda _: self.all(selector))
        return self.one(selector)

    def name(self) -> str:
        """Tell whose profile is shown, read in one step: between two, a change of the address may put another there."""
        return str(self.chrome.execute_script('return one("#person-name").innerText'))

    def wait_for_name(self, name: str) -> None:
        """Wait for somebody's profile."""
        WebDriverWait(self.chrome, 10).until(lambda _: self.name() == name)

    def complaints(self) -> list[str]:
        return [str(entry["message"]) for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """Give what was asked for, apart from the file itself."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("file:", "data:", "about:", "blob:"))]


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
    for source in page.all("[data-models]"):
        summary = source.find_element(By.CSS_SELECTOR, "summary")
        assert (source.get_attribute("data-models") or "").replace(" ", ", ") in (summary.text or ""), "also if unseen"
        assert all(said.get_attribute("textContent") for said in source.find_elements(By.CSS_SELECTOR, "dd"))
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
    page.wait(rows)
    assert len(page.all(rows)) == 7


def test_ties_are_drawn_by_kind_and_groups_by_shape(page: Page, published: Published) -> None:
    content = published.content
    graph = '[data-chart="network"]'
    talks = content["views"][0]["week"]["ties"]
    drawn = {tie[end] for tie in talks for end in ("one", "other")}
    groups = content["groups"][0]
    assert len(page.all(f"{graph} line.edge")) == len(talks)
    for number, group in enumerate(groups[:6], start=1):
        marks = page.all(f"{graph} .group-{number}")
        assert len(marks) == len(drawn.intersection(group["members"]))
    key = page.texts('[data-legend="network"] > span')
    assert len(key) >= 3
    shapes = [mark.get_attribute("outerHTML") for mark in page.all('[data-legend="network"] svg > *')]
    assert len({re.sub(r'class=".*?"', "", shape or "") for shape in shapes}) == len(key), "told apart without colour"

    page.choose("tie", "both")
    among = [pair for pair in content["follows"] if drawn.issuperset(pair)]
    assert len(page.all(f"{graph} line.follow")) == len(among) > 0
    page.choose("tie", "follows")
    assert len(page.all(f"{graph} line.edge")) == len(content["follows"])
    assert "follow each other" in (page.one(f"{graph} svg").get_attribute("aria-label") or "")
    surface = page.one(f"{graph} .surface")
    surface.send_keys(Keys.HOME)
    name = page.one(f"{graph} .tip.is-shown").text.splitlines()[0]
    surface.send_keys(Keys.ENTER)
    page.wait("#person[open]")
    assert page.one("#person-name").text == name
    assert page.complaints() == []


def test_everybody_has_a_profile_and_back_leaves_it(chrome: webdriver.Chrome, published: Published) -> None:
    content = published.content
    place, row = next(
        (place, row) for place, row in enumerate(content["members"]) if row["ties"] and row["top"] and row["weeks"]
    )
    assert place < 15, "in sight"
    person, other = (content["people"][number] for number in (row["who"], row["ties"][0][0]))
    page = Page(chrome, published.page)
    (link,) = page.all(f'#people a[href="#@{person["handle"]}"]')
    link.send_keys(Keys.ENTER)
    page.wait("#person[open]")
    assert chrome.switch_to.active_element.text == page.one("#person-name").text == person["name"]
    texts = [content["posts"][number]["text"].split() for number in row["top"]]
    assert [text.split() for text in page.texts("#person .post .text")] == texts
    assert int(page.one("#person .chart svg").get_attribute("data-marks") or 0) == 26
    assert f"{sum(row['weeks'][0])} posts" in (page.one("#person .chart svg").get_attribute("aria-label") or "")
    follows = sum(row["who"] in pair for pair in content["follows"])
    assert len(page.all("#person .follows a")) == follows
    assert page.one("#person .ties small").text.startswith(f"{row['ties'][0][1]} to them, {row['ties'][0][2]} from")
    page.one("#person .ties a").send_keys(Keys.ENTER)
    page.wait_for_name(other["name"])
    chrome.back()
    page.wait_for_name(person["name"])
    chrome.back()
    page.wait("#person:not([open])")
    chrome.forward()
    page.wait("#person[open]")
    page.one("#person").send_keys(Keys.ESCAPE)
    page.wait("#person:not([open])")
    assert "#" not in chrome.current_url
    assert page.complaints() == []

    # Every name of a member leads to a profile, and every profile to a name: the address alone is enough.
    page = Page(chrome, published.page, f"#@{other['handle']}")
    assert page.one("#person-name").text == other["name"]
    anchors = {link.get_attribute("hash") for link in page.all('main a[href^="#"]')}
    known = chrome.execute_script("return [...anchors.keys()]")
    assert anchors <= {f"#{anchor}" for anchor in known}
    assert len(known) == len(content["members"])
    for anchor in known:
        chrome.execute_script("location.hash = arguments[0]; followAddress()", anchor)
        assert page.name()
    assert page.complaints() == []
    assert page.requests() == []


def test_rows_are_saved_as_files_that_run_no_formula(
    chrome: webdriver.Chrome, published: Published, tmp_path: Path
) -> None:
    content = published.content
    shown = content["views"][0]["week"]["hashtags"]
    shown[0]["name"], shown[1]["name"] = "=1+1", 'a "quoted" name,\nof two lines; é'
    file = tmp_path / "page.html"
    file.write_text(render(content), encoding="utf-8")
    chrome.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page = Page(chrome, file)
    for save in page.all("[data-save]"):
        assert save.text in ("Save as CSV", "")
    page.one('[data-save="hashtags"] button').send_keys(Keys.ENTER)
    page.one('[data-chart="activity"] summary').send_keys(Keys.ENTER)
    page.wait('[data-chart="activity"] details button').send_keys(Keys.ENTER)
    day = content["observed_at"][:10]
    files = [tmp_path / f"{name}_{day}.csv" for name in ("hashtags", "activity")]
    WebDriverWait(chrome, 10).until(lambda _: all(saved.exists() and saved.stat().st_size for saved in files))
    hashtags, activity = (list(csv.reader(io.StringIO(saved.read_text(encoding="utf-8-sig")))) for saved in files)
    names = ["'=1+1", *(row["name"] for row in shown[1:])]
    assert hashtags == [
        ["hashtag", "posts", "posts_before", "people"],
        *(
            [name, str(row["posts"]), str(row["previous_posts"]), str(row["authors"])]
            for name, row in zip(names, shown, strict=True)
        ),
    ]
    assert sum(int(row[5]) for row in activity[1:]) == sum(map(sum, content["views"][0]["week"]["bins"]))
    assert page.complaints() == []
    assert page.requests() == []

    # Page and exports agree on what a spreadsheet would run.
    signs = "=+-@＝＋－＠\t\r\n"  # noqa: RUF001
    words = [f"{before}{sign}1" for before in ("", " ", "\u200b", "\ufeff", "\xa0", "\x0b", "a") for sign in signs]
    with duckdb.connect() as connection:
        run = connection.execute(
            f"select list_transform($1, lambda word: regexp_matches(word, '{FORMULA}'))", [words]
        ).fetchone()
    assert run
    assert chrome.execute_script("return arguments[0].map((word) => FORMULA.test(word))", words) == run[0]


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
        page.chrome.execute_script("openPerson(content.members[0].who)")
        profile = page.wait("#person[open]")
        assert profile.size["width"] <= width
        assert profile.get_property("scrollWidth") <= profile.size["width"]
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
    page.chrome.execute_script("for (const index of memberOf.keys()) profileOf(index)")
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
