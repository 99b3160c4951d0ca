"""The report: from the marts to one HTML file that opens anywhere and asks nobody for anything.

python pipelines/report.py             _data/bluesky.duckdb -> _data/report.html, and the digest of the week beside it
python pipelines/report.py --sample    the sample's warehouse and page
"""

from __future__ import annotations

if __name__ == "__main__":
    from pipelines.interruption import end_at_once_from_now

    end_at_once_from_now()  # The imports below take seconds.

import argparse
import base64
import hashlib
import html
import json
import re
import sys
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

import dlt
import duckdb

from pipelines.command import run_command
from pipelines.digest.content import read_digest
from pipelines.digest.files import render_files
from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings, explain_warehouse_error, open_warehouse
from pipelines.lake.forget_warehouse import expect_built_after_forgetting
from pipelines.lake.left_out import LeftOut, expect_withheld, read_left_out
from pipelines.page.content import read_content
from pipelines.page.packing import packed
from pipelines.terminal import complain

if TYPE_CHECKING:
    from pipelines.page.content import Content
    from pipelines.terminal import Terminal

ASSETS: Final = Path(__file__).parent / "page"
SCRIPTS: Final = (
    "charts.js",
    "network.js",
    "words.js",
    "tables.js",
    "people.js",
    "posts.js",
    "activity.js",
    "ties.js",
    "profile.js",
    "page.js",
)
"""In this order they make the page's one script: each uses the names of those before it."""


class ReportError(Exception):
    """The report cannot be built. The message says why and what to do, in one line."""


@dataclass(frozen=True)
class ReportSummary:
    """What was built.

    Attributes:
        page: The file.
        byte_count: Its size.
        observed_at: The newest observation that it shows, in UTC as ISO 8601; None if there is none yet.
        pack_count: How many packs it can be filtered by.
        member_count: How many people its table shows.
    """

    page: Path
    byte_count: int
    observed_at: str | None
    pack_count: int
    member_count: int

    def __str__(self) -> str:
        """Say it in one line."""
        shown = f"{self.member_count:,} people, as of {self.observed_at}" if self.observed_at else "nothing pulled yet"
        return f"{self.page} ({self.byte_count / 1e6:.2f} MB; {shown})"


def build_report(
    warehouse: Path, page: Path, memory_limit: str, *, left_out: LeftOut | None = None, contact: str | None = None
) -> ReportSummary:
    """Write the page, and the digest beside it, from the marts.

    Args:
        warehouse: The DuckDB file that dbt built.
        page: Where to write; its folder is made. An earlier page stays until the new one is whole.
        memory_limit: Most memory that DuckDB may use, e.g. `2GB`.
        left_out: Whom the settings leave out.
        contact: Whom people can write to who want to be left out.

    Raises:
        ReportError: There is no warehouse, it has no marts yet, or it cannot be read; or somebody is left out of whom
            it does not know; or the page cannot be written.
        LakeError: It cannot be opened.
    """
    left_out = left_out or LeftOut()
    if left_out.unresolved:
        raise ReportError(f"No page is written. {left_out.unresolved[0]}")
    if not warehouse.exists():
        raise ReportError(
            f"There is no warehouse at {warehouse} yet: run python pipelines/bluesky.py, or with --sample."
        )
    try:
        with open_warehouse(warehouse, memory_limit, read_only=True) as marts:
            try:
                expect_withheld(left_out, marts)
            except LakeError as error:
                raise ReportError(str(error)) from error
            content, digest = read_content(marts), read_digest(marts)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        reason = str(error).splitlines()[0]
        raise ReportError(f"{warehouse} lacks marts: build them with cd dbt && dbt build. ({reason})") from error
    except duckdb.Error as error:
        raise ReportError(explain_warehouse_error(warehouse, error)) from error
    written = render(content, contact).encode()
    _write(page, written)
    for name, told in render_files(digest).items():
        _write(page.with_name(name), told)
    return ReportSummary(
        page=page,
        byte_count=len(written),
        observed_at=content["observed_at"],
        pack_count=max(0, len(content["packs"]) - 1),
        member_count=len(content.get("members", [])),
    )


def _write(page: Path, written: bytes) -> None:
    unfinished = page.with_name(f".{page.name}.partial")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(written)
        unfinished.replace(page)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise ReportError(f"The page {page} cannot be written ({error.strerror}): it stays as it was.") from error


def render(content: Content, contact: str | None = None) -> str:
    """Put content, style and script into the one file.

    Its Content-Security-Policy lets the browser ask nobody for anything and run no script but ours, whatever posts say.
    """
    style = (ASSETS / "page.css").read_text(encoding="utf-8")
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    names = [pack["name"] or "An unnamed pack" for pack in content["packs"][1:]]
    return Template((ASSETS / "page.html").read_text(encoding="utf-8")).substitute(
        policy=f"default-src 'none'; img-src data:; style-src {_hash_of(style)}; script-src {_hash_of(script)};"
        " base-uri 'none'; form-action 'none'",
        title=html.escape(" and ".join(names) if 0 < len(names) <= 2 else "People on Bluesky"),
        contact=_in_html(contact),
        style=style,
        script=script,
        content=_json_in_html(content),
    )


def _in_html(contact: str | None) -> str:
    """Say where people write to who are on the page, as a link where it is an address."""
    if not contact:
        return "whoever gave you this page (it names nobody to write to)"
    written = html.escape(contact)
    if re.fullmatch(r"https://\S+", contact):
        return f'<a href="{written}" rel="noopener noreferrer">{written}</a>'
    if re.fullmatch(r"[^\s@/:?&#%]+@[^\s@/:?&#%]+[.][^\s@/:?&#%]+", contact):
        return f'<a href="mailto:{written}">{written}</a>'
    return written


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json_in_html(content: Content) -> str:
    r"""Write JSON that can stand inside a script element: no text in it can end the element or begin a comment."""
    written = json.dumps(packed(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return written.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def main(arguments: list[str] | None = None) -> int:
    """Build the report and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python pipelines/report.py", description="Build one HTML page from the marts in the warehouse."
    )
    parser.add_argument("--sample", action="store_true", help="the page of the sample network")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    options = parser.parse_args(arguments)
    return run_command(lambda console: make_page(console, is_sample=options.sample, is_opened=options.open))


def make_page(console: Terminal, *, is_sample: bool, is_opened: bool) -> int:
    """Build the report, say how that went, and return the exit code.

    Args:
        console: Where to say it.
        is_sample: Whether the page of the sample network is meant.
        is_opened: Whether a browser opens it.
    """
    try:
        name = "bluesky_sample" if is_sample else "bluesky"
        settings = duckdb_settings(name)
        warehouse = settings.warehouse_path
        expect_built_after_forgetting(settings)
        summary = build_report(
            warehouse,
            warehouse.with_name("report.html"),
            settings.memory_limit,
            left_out=read_left_out(name),
            contact=dlt.config.get("page.contact", str),
        )
    except (ReportError, LakeError) as error:
        complain(str(error))
        return 1
    console.say(f"report  {summary}")
    if is_opened:
        webbrowser.open(summary.page.as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(main())
