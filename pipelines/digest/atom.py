"""The digest as an Atom feed (RFC 4287), an entry for each week."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, UUID, uuid5
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipelines.digest.document import Link, plain

if TYPE_CHECKING:
    from pipelines.digest.document import Digest, Line, Week

ATOM: Final = "http://www.w3.org/2005/Atom"
AUTHOR: Final = "bluesky-lake"

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def in_atom(digest: Digest, own_name: str) -> bytes:
    """Write the feed.

    Its id and those of its entries are made from the lake and the week, so that a reader knows them again wherever the
    feed stands. Addresses are relative for the same reason.

    Args:
        digest: What is told.
        own_name: The feed's file, beside the page.
    """
    identity = uuid5(NAMESPACE_URL, f"bluesky-lake:{digest.lake}")
    feed = Element("feed", {"xmlns": ATOM, "xml:lang": "en"})
    _add(feed, "id", identity.urn)
    _add(feed, "title", digest.title)
    _add(feed, "updated", _time(digest.weeks[0].until if digest.weeks else _NEVER))
    SubElement(feed, "link", rel="self", type="application/atom+xml", href=own_name)
    SubElement(feed, "link", rel="alternate", type="text/html", href="./")
    _add(SubElement(feed, "author"), "name", AUTHOR)
    for week in digest.weeks:
        _entry(feed, week, identity)
    indent(feed)
    written: bytes = tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(feed: Element, week: Week, identity: UUID) -> None:
    entry = SubElement(feed, "entry")
    year, number, _ = week.monday.isocalendar()
    _add(entry, "id", uuid5(identity, f"{year}-W{number:02}").urn)
    _add(entry, "title", week.title)
    _add(entry, "published", _time(datetime.combine(week.monday, time(), UTC)))
    _add(entry, "updated", _time(week.until))
    SubElement(entry, "content", type="html").text = _in_html(week)


def _in_html(week: Week) -> str:
    """Write the sections as HTML, which the feed holds as text."""
    content = Element("div")
    for section in week.sections:
        _add(content, "h3", section.heading)
        items = SubElement(content, "ul")
        for line in section.lines:
            _fill(SubElement(items, "li"), line)
    return tostring(content, encoding="unicode", method="html")


def _fill(item: Element, line: Line) -> None:
    last = None
    for part in line:
        if isinstance(part, Link):
            last = SubElement(item, "a", href=part.url)
            last.text = plain(part.text)
        elif last is None:
            item.text = (item.text or "") + plain(part)
        else:
            last.tail = (last.tail or "") + plain(part)


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = plain(text)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
