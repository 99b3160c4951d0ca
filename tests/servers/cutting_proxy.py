"""A proxy in front of an AppView that cuts the feeds of some members: what it leaves out is there all the same."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import urllib3

from tests.local_server import LocalServer, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http.server import BaseHTTPRequestHandler

FEED: Final = "app.bsky.feed.getAuthorFeed"
_NOT_PASSED_ON: Final = {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Cut:
    """What is wrong with a member's feed, on its n-th page.

    Attributes:
        page: The page, from 1.
        kept: How many of its items are shown.
        is_end: Whether the feed ends with it; else it goes on behind what is left out.
    """

    page: int
    kept: int = 100
    is_end: bool = True


class CuttingProxy(LocalServer):
    """The AppView, as somebody sees it to whom it shows less.

    Attributes:
        cuts: By DID.
        requests: How often it was asked for each method.
    """

    def __init__(self, appview: str) -> None:
        self.cuts: Mapping[str, Cut] = {}
        self.requests: Counter[str] = Counter()
        self._appview = appview
        self._pages: dict[tuple[str, str], int] = defaultdict(int)
        self._pool = urllib3.PoolManager(maxsize=16)
        self._lock = threading.Lock()
        proxy = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                proxy._answer(self)

            do_GET = answer  # noqa: N815 - as the base class wants it

        super().__init__(Handler)

    def cut(self, cuts: Mapping[str, Cut]) -> None:
        """Cut these feeds from now on, and no other."""
        self.cuts = cuts
        self._pages.clear()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _NOT_PASSED_ON}
        answer = self._pool.request("GET", self._appview + handler.path, headers=headers, redirect=False)
        nsid = urlsplit(handler.path).path.rpartition("/")[2]
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        with self._lock:
            self.requests[nsid] += 1
        body = answer.data
        if nsid == FEED and answer.status == 200:
            body = self._cut_page(query, body)
        handler.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _cut_page(self, query: Mapping[str, str], body: bytes) -> bytes:
        did, cursor = query["actor"], query.get("cursor")
        cut, page = self.cuts.get(did), json.loads(body)
        number = self._pages[did, cursor] if cursor else 1
        if "cursor" in page:
            self._pages[did, page["cursor"]] = number + 1
        if cut is None or number != cut.page:
            return body
        page["feed"] = page["feed"][: cut.kept]
        if cut.is_end:
            page.pop("cursor", None)
        return json.dumps(page).encode()
