"""What headers say of both ends of a request: who asks (`User-Agent`), who answers, and when (`Date`)."""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

POSSIBLE_YEARS: Final = range(2000, 2100)
"""Years of answers. This machine's clock says nothing of them, as it may be the one that is wrong; and near the ends of
the calendar, at the year 9999, a sum of times is an error."""


def user_agent(contact: str | None = None) -> str:
    """Build the `User-Agent`, which tells a service who asks.

    Args:
        contact: How to reach whoever runs this: an address or a URL.

    Raises:
        ValueError: The contact cannot be sent in an HTTP header.
    """
    if contact and not (contact.isascii() and contact.isprintable()):
        raise ValueError(f"contact must be plain ASCII, as it is sent in a header: {contact!r}")
    try:
        project = importlib.metadata.metadata("bluesky-lake")
    except importlib.metadata.PackageNotFoundError:
        return f"bluesky-lake ({contact})" if contact else "bluesky-lake"
    urls = [url.rpartition(" ")[2] for url in project.get_all("Project-URL") or []]
    about = "; ".join([f"+{url}" for url in urls[:1]] + ([contact] if contact else []))
    return f"bluesky-lake/{project['Version']}" + (f" ({about})" if about else "")


def host_of(url: str) -> str:
    """Give the host and port of a URL, without user and password, to name a service in messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Read when an answer was made, by the service's clock (`Date`, in whole seconds); None if it does not tell."""
    return read_date(headers.get("Date", ""))


def read_date(value: str) -> datetime | None:
    """Read a date of HTTP; None if it is none, or one that no service of this protocol can mean."""
    try:
        date = parsedate_to_datetime(value)
        date = date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.year in POSSIBLE_YEARS else None
