"""Strangers who run servers of their own, each hostile in another way, and a directory that leads to them."""

from __future__ import annotations

import gzip
import itertools
import json
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from tests.network.hostile_server import HostileServer
from tests.network.scripted_server import Asked, Reply, ScriptedServer, error_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Answer: TypeAlias = "Callable[[Asked], Reply]"
Pieces: TypeAlias = "Callable[[], Iterator[bytes]]"

HEAD: Final = b"HTTP/1.1 200 OK\r\n"
DEEP: Final = b"[" * 1_000_000
BOMB: Final = gzip.compress(b" " * 100_000_000, compresslevel=1)
COMMIT: Final = json_reply(
    {"cid": "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "rev": "3lbnxk2sz6c2a"}
)


def endless(piece: bytes, *before: bytes) -> Pieces:
    return lambda: itertools.chain(before, itertools.repeat(piece))


def always(reply: Reply) -> Answer:
    return lambda _: reply


def limited(**headers: str) -> Answer:
    """Answer well, with headers that ask for patience."""
    return lambda asked: Reply(COMMIT.body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def pages(record_keys: Callable[[int], range], cursor: Callable[[int], int]) -> Answer:
    """List records page by page, where a repository as a whole is not to be had."""
    numbers = itertools.count()

    def answer(asked: Asked) -> Reply:
        if asked.nsid != "com.atproto.repo.listRecords":
            return error_reply(501, "MethodNotImplemented")
        number = next(numbers)
        beginning = f"at://{asked.params['repo'][0]}/{asked.params['collection'][0]}"
        records = [{"uri": f"{beginning}/{key:013}", "cid": f"bafy{key}", "value": {}} for key in record_keys(number)]
        return json_reply({"records": records, "cursor": f"c{cursor(number)}"})

    return answer


def repository(reply: Reply) -> Answer:
    """Name a commit, and serve something else than its repository."""
    return lambda asked: COMMIT if asked.nsid == "com.atproto.sync.getLatestCommit" else reply


STREAMS: Final[dict[str, tuple[Pieces, float]]] = {
    "trickles header bytes": (endless(b"X", HEAD), 0.1),
    "says 100 Continue for ever": (endless(b"HTTP/1.1 100 Continue\r\n\r\n"), 0.1),
    "trickles a body": (endless(b" ", HEAD + b"\r\n"), 0.1),
    "accepts and says nothing": (endless(b""), 0.5),
    "floods with headers": (endless(b"X-A: " + b"a" * 60_000 + b"\r\n", HEAD), 0),
    "floods with a body": (endless(b"a" * 60_000, HEAD + b"\r\n"), 0),
    "sends garbage": (lambda: iter([bytes(range(256)) * 40]), 0),
    "hangs up": (lambda: iter([]), 0),
}
"""Whatever they are asked: pieces, and the seconds between them."""

ANSWERS: Final[dict[str, Answer]] = {
    "resets connections": always(Reply(is_reset=True)),
    "serves HTML": always(Reply(b"<html>Welcome!</html>", headers={"Content-Type": "text/html"})),
    "serves what is a million deep": always(Reply(DEEP)),
    "serves a gzip bomb": always(Reply(BOMB, headers={"Content-Encoding": "gzip"})),
    "redirects to the inside": always(Reply(b"", 302, {"Location": "http://169.254.169.254/latest/meta-data"})),
    "redirects to itself": lambda asked: Reply(b"", 302, {"Location": asked.path}),
    "is busy for centuries": always(error_reply(503, "Busy", Retry_After="9" * 30)),
    "asks to wait for a quarter of an hour": always(error_reply(429, "RateLimitExceeded", Retry_After="890")),
    "has no allowance left": lambda asked: Reply(
        COMMIT.body,
        headers={"RateLimit-Limit": "9", "RateLimit-Remaining": "0", "RateLimit-Reset": str(int(time.time()) + 890)},
    ),
    "serves pages without end": pages(lambda number: range(number, number + 1), lambda number: number),
    "serves pages that come in turn": pages(lambda number: range(number % 3, number % 3 + 1), lambda number: number),
    "serves cursors that come in turn": pages(lambda number: range(number, number + 1), lambda number: number % 3),
    "serves a page of 200,000": pages(lambda _: range(200_000), lambda number: number),
    "serves a repository without an end": repository(Reply(pieces=endless(b"x" * 65_536), trickle=0.25)),
    "trickles a repository": repository(Reply(pieces=endless(b"x"), trickle=0.1)),
    "cuts the repository off": repository(Reply(b"x" * 100_000, cut_after=50_000)),
    "serves no repository": repository(Reply(b"x" * 100_000)),
}


@dataclass
class Strangers:
    """Servers on localhost: one for each stranger, and the directory that everybody asks for them.

    Args:
        sample_url: The sample network, which knows everybody's keys, and serves all who are no strangers.
        hostile: In which way each stranger's server is hostile, by DID.
        documents: What the directory answers for some, in place of a document.
    """

    sample_url: str
    hostile: Mapping[str, str]
    documents: Mapping[str, Reply] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._urls = {did: self._serve(way) for did, way in self.hostile.items()}
        self.directory = self._stack.enter_context(ScriptedServer(self._document))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self, way: str) -> str:
        if way in STREAMS:
            return self._stack.enter_context(HostileServer(*STREAMS[way])).url
        return self._stack.enter_context(ScriptedServer(ANSWERS[way])).url

    def _document(self, asked: Asked) -> Reply:
        did = asked.path.removeprefix("/")
        if did in self.documents:
            return self.documents[did]
        with urllib.request.urlopen(self.sample_url + asked.path) as answer:
            document = json.load(answer)
        if did in self._urls:
            document["service"][0]["serviceEndpoint"] = self._urls[did]
        return json_reply(document)
