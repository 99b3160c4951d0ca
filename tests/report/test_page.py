"""The file: whole, small, the same every time, and harmless whatever people write."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb
import pytest
import yaml

from pipelines.lake.bucket import PROJECT_ROOT, LakeError
from pipelines.page.content import read_content
from pipelines.report import ASSETS, ReportError, build_report, main, render
from tests.report.conftest import MEMORY_LIMIT, content_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.conftest import Published

MOST_BYTES = 1_000_000


def test_asks_for_nothing(published: Published) -> None:
    page = published.page.read_text(encoding="utf-8")
    shell = re.sub(r'(<script type="application/json".*?>).*?(</script>)', r"\1\2", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", shell)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|import\(", shell.replace("url(#${hatch})", ""))
    assert "default-src 'none'" in page


def test_does_not_depend_on_when_or_how_often_it_is_built(published: Published, tmp_path: Path) -> None:
    summary = build_report(published.warehouse, tmp_path / "again.html", MEMORY_LIMIT)
    assert summary.page.read_bytes() == published.page.read_bytes()
    assert summary.byte_count == published.page.stat().st_size
    assert summary.observed_at == published.content["observed_at"]
    assert summary.member_count == len(published.content["members"])


def test_fits_its_budget_with_two_hundred_members_and_a_year(published: Published) -> None:
    """What grows with members and packs, grown to two hundred people in ten packs, each view full."""
    content = published.content
    fullest = {
        period: max((view[period] for view in content["views"]), key=lambda view: len(str(view)))
        for period in content["views"][0]
    }
    content["views"] = [fullest] * 11
    by_pack = ("packs", "newest", "growth", "half_life", "newcomers", "quiet")
    for name in (*by_pack, "groups", "bridges", "new_follows", "outside", "liked", "conversations"):
        content[name] = [max(content[name], key=lambda part: len(str(part)))] * 11
    content["calendar"] = [
        {"first_day": "2025-03-17", "posts": [123] * 366, "reposts": [123] * 366, "active": [99] * 366}
    ] * 11
    content["members"] = (content["members"] * 10)[:200]
    content["people"] = (content["people"] * 10)[:200]
    long_post = max(content["posts"], key=lambda post: len(post["text"] or ""))
    content["posts"] = [long_post | {"text": "x" * 300}] * (11 * 4 * 10 + 200 * 3 + 4 * 4 * 10)
    content["follows"] = [[100, 100]] * 4000
    assert len(render(content).encode()) < MOST_BYTES


def test_dbt_s_own_words_say_how_each_part_is_computed(published: Published) -> None:
    parts = re.findall(r'data-models="(.*?)"', (ASSETS / "page.html").read_text())
    shown = [model for models in parts for model in models.split()]
    words = (ASSETS / "queries.py").read_text()
    reports = {path.stem for path in (PROJECT_ROOT / "dbt" / "models" / "marts" / "reports").glob("*.sql")}
    assert sorted(shown) == sorted(reports.intersection(re.findall(r"\w+", words))), "each of them once"
    described = published.content["models"]
    assert all(len(described[model]) > 20 for model in shown)


def test_what_people_write_is_only_ever_text(published: Published) -> None:
    content = published.content
    nasty = "</script><script>alert(1)</script><!-- <script> &amp; \u2028 '\"` ${x}"
    content["people"][0]["name"] = content["posts"][0]["text"] = content["packs"][1]["name"] = nasty
    page = render(content)
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<!-- <script>" not in page
    assert content_of(page)["people"][0]["name"] == nasty


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        (None, "it names nobody to write to"),
        ("you@example.org", '<a href="mailto:you@example.org">you@example.org</a>'),
        ("https://example.org/ask?a=1&b", 'href="https://example.org/ask?a=1&amp;b"'),
        ("@you.example.org", "to @you.example.org:"),
        ("javascript:alert(1)", "to javascript:alert(1):"),
        ("\"><script>'", "&quot;&gt;&lt;script&gt;&#x27;"),
    ],
)
def test_the_page_says_whom_to_write_to(contact: str | None, shown: str) -> None:
    page = render({"observed_at": None, "packs": []}, contact)
    assert shown in page
    assert page.count("<script") == 2
    assert 'href="javascript' not in page


def test_policy_lets_the_page_s_own_script_and_style_run(published: Published) -> None:
    # Covered for real by the browser test; here, that an edit of an asset is not forgotten in the policy.
    page = published.page.read_text(encoding="utf-8")
    assert len(re.findall(r"(?:style|script)-src 'sha256-[\w+/=]{44}'", page)) == 2


def test_lake_without_any_load_is_a_page_that_says_so(published: Published) -> None:
    with duckdb.connect() as marts:
        marts.execute("create view rpt_data_health as select null::timestamptz as newest_observed_at")
        content = read_content(marts)
    page = render(content)
    assert content_of(page) == {"observed_at": None, "packs": []}
    assert len(page) < published.page.stat().st_size


def test_errors_are_one_line_that_says_what_to_do(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(name: str) -> None:
        build_report(tmp_path / name, tmp_path / "report.html", MEMORY_LIMIT)

    with pytest.raises(ReportError, match=r"There is no warehouse at .*bluesky.py"):
        build("bluesky.duckdb")
    duckdb.connect(str(tmp_path / "bluesky.duckdb")).close()
    with pytest.raises(ReportError, match="dbt build"):
        build("bluesky.duckdb")
    (tmp_path / "text.duckdb").write_text("no database at all" * 100)
    with pytest.raises(LakeError, match="delete the file"):
        build("text.duckdb")
    assert not (tmp_path / "report.html").exists()
    monkeypatch.setenv("DLT_LOCAL_DIR", str(tmp_path / "nowhere"))
    assert main(["--sample"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--sample" in said


@pytest.mark.parametrize(("name", "room"), [("report_page", "page"), ("weekly_digest", "digest")])
def test_dbt_s_exposures_name_what_is_read(name: str, room: str) -> None:
    exposures = yaml.safe_load((PROJECT_ROOT / "dbt" / "models" / "marts" / "exposures.yml").read_text())["exposures"]
    (exposure,) = (exposure for exposure in exposures if exposure["name"] == name)
    models = {path.stem for path in (PROJECT_ROOT / "dbt" / "models").rglob("*.sql")}
    words = re.findall(r"\w+", "".join(path.read_text() for path in (PROJECT_ROOT / "pipelines" / room).glob("*.py")))
    named = sorted(models.intersection(words))
    assert exposure["depends_on"] == [f"ref('{model}')" for model in named]
    assert [model for model in named if not model.startswith("rpt_")] == [], "only reports may be published"


def test_reading_the_marts_stays_within_the_memory_limit(published: Published, tmp_path: Path) -> None:
    with pytest.raises((LakeError, ReportError), match="memory_limit"):
        build_report(published.warehouse, tmp_path / "report.html", "1MB")


def test_text_can_be_read_on_its_ground_in_light_and_in_dark() -> None:
    css = (ASSETS / "page.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    )
    for scheme in (light, dark):
        for text in ("ink", "quiet", "accent", "up", "down"):
            for ground in ("paper", "card"):
                assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
        assert contrast(scheme["accent-ink"], scheme["accent"]) >= 4.5
        for shape in ("kind-original", "kind-quote", "kind-edge", *(f"group-{number}" for number in range(1, 7))):
            assert contrast(scheme[shape], scheme["card"]) >= 3, shape


def contrast(one: str, other: str) -> float:
    """Compute the contrast ratio of two colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("report", "most"), [("rpt_top_posts", 25), ("rpt_member_top_posts", 5), ("rpt_latest_posts", 100)]
)
def test_a_report_shows_as_many_posts_as_it_says(published: Published, report: str, most: int) -> None:
    """The candidates that stand in for withheld ones are more than what is shown, never less."""
    assert published.rows(f"select max(rank_number) as last from {report}") == [{"last": most}]
