"""Retries, errors and habits of the client, against a server that fails as told."""

from __future__ import annotations

import gzip
import json
import random
import socket
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorBlocked,
    ActorNotFound,
    AuthenticationFailed,
    NetworkError,
    RateLimited,
    RecordNotFound,
    RequestRejected,
    ServiceFailed,
    ServiceUnreachable,
)
from pipelines.network.headers import user_agent
from pipelines.network.pacing import Pacer
from pipelines.network.xrpc import XrpcClient
from tests.network.scripted_server import Asked, Reply, ScriptedServer, error_reply, json_reply
from tests.network.virtual_service import VirtualClock, VirtualService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GOOD = json_reply({"hello": "world", "padding": "x" * 1000})
GZIPPED = gzip.compress(random.Random(0).randbytes(3000))

FAULTS = {
    "reset": Reply(is_reset=True),
    "cut body": Reply(GOOD.body, cut_after=500),
    "no body": Reply(GOOD.body, cut_after=0),
    "cut gzip": Reply(GZIPPED, headers={"Content-Encoding": "gzip"}, cut_after=1500),
    "bad gzip": Reply(b"plain text", headers={"Content-Encoding": "gzip"}),
    "bad chunk": Reply(b"zz\r\nnonsense\r\n", headers={"Transfer-Encoding": "chunked"}),
    "cut JSON": Reply(GOOD.body[:500]),
    "HTML": Reply(b"<html>just a moment</html>"),
    "empty": Reply(b""),
    "other shape": json_reply(["hello"]),
    "bottomless": Reply(b'{"hello":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "500": error_reply(500, "InternalServerError", "Internal Server Error"),
    "502": Reply(b"<html>Bad Gateway</html>", 502),
    "503": error_reply(503, "NotEnoughResources", Retry_After="0"),
    "520": Reply(b"", 520),
    "429": error_reply(429, "RateLimitExceeded", "Rate Limit Exceeded", Retry_After="0"),
    "429 from the edge": Reply(b"slow down", 429),
    "silence": Reply(GOOD.body, delay=1),
    "trickle": Reply(GOOD.body, trickle=0.02),
}
TIMEOUTS = {"silence": 0.5, "trickle": 0.5}


@pytest.fixture
def client(server: ScriptedServer) -> XrpcClient:
    return client_of(server, timeout=5)


def client_of(server: ScriptedServer, timeout: float) -> XrpcClient:
    return XrpcClient(server.url, Pacer(1_000), backoff=0.001, timeout=timeout, max_attempts=3)


def ask(client: XrpcClient, **params: Any) -> dict[str, Any]:
    def decode(body: bytes) -> dict[str, Any]:
        return msgspec.json.decode(body, type=dict[str, Any])

    return client.query("com.example.ask", params, decode, subject="did:plc:abc")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_one_more_request(server: ScriptedServer, fault: str) -> None:
    client = client_of(server, TIMEOUTS.get(fault, 5))
    server.answer_in_turn(FAULTS[fault], GOOD)

    assert ask(client)["hello"] == "world"
    assert len(server.asked) == client.stats.requests == 2
    assert client.stats.retries == 1
    assert client.stats.rate_limited == fault.startswith("429")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_one_line_about_what_was_asked(server: ScriptedServer, fault: str) -> None:
    client = client_of(server, TIMEOUTS.get(fault, 5))
    server.answer_in_turn(FAULTS[fault])

    with pytest.raises(NetworkError) as caught:
        ask(client)
    expected = {"reset": ServiceUnreachable, "silence": ServiceUnreachable}.get(
        fault, RateLimited if fault.startswith("429") else ServiceFailed
    )
    assert type(caught.value) is expected
    message = str(caught.value)
    assert message.startswith(f"{server.host}: com.example.ask for did:plc:abc: ")
    assert "\n" not in message
    assert "3 attempts" in message
    assert len(server.asked) == 3


REJECTIONS: list[tuple[int, str, str, type[RequestRejected]]] = [
    (400, "InvalidRequest", "Profile not found", ActorNotFound),
    (400, "InvalidRequest", "Unable to resolve handle", ActorNotFound),
    (400, "InvalidRequest", "Could not find repo: did:plc:abc", ActorNotFound),
    (400, "RepoNotFound", "", ActorNotFound),
    (400, "AccountDeactivated", "Account is deactivated", AccountDeactivated),
    (400, "AccountTakedown", "Account has been suspended", AccountSuspended),
    (400, "BlockedActor", "Requester has blocked actor", ActorBlocked),
    (400, "BlockedByActor", "Requester is blocked by actor", ActorBlocked),
    (400, "InvalidRequest", "Starter pack not found", RecordNotFound),
    (400, "InvalidRequest", "List not found", RecordNotFound),
    (400, "InvalidRequest", "Invalid params", RequestRejected),
    (401, "AuthenticationRequired", "Invalid identifier or password", AuthenticationFailed),
    (401, "AccountTakedown", "Account has been taken down", AuthenticationFailed),
    (400, "ExpiredToken", "Token has expired", AuthenticationFailed),
    (403, "Forbidden", "not for you", RequestRejected),
    (404, "NotFound", "", RequestRejected),
    (413, "PayloadTooLarge", "", RequestRejected),
]


@pytest.mark.parametrize("refusal", REJECTIONS, ids=str)
def test_what_is_refused_is_named_and_never_asked_again(
    server: ScriptedServer, client: XrpcClient, refusal: tuple[int, str, str, type[RequestRejected]]
) -> None:
    status, error, message, kind = refusal
    server.answer_in_turn(error_reply(status, error, message))

    with pytest.raises(RequestRejected) as caught:
        ask(client)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.error, caught.value.message) == (status, error, message)
    assert len(server.asked) == 1


def test_a_page_from_the_edge_says_that_the_edge_refuses(server: ScriptedServer, client: XrpcClient) -> None:
    server.answer_in_turn(Reply(b"<html>Request forbidden by administrative rules.</html>", 403))
    with pytest.raises(RequestRejected, match=r"edge.*User-Agent"):
        ask(client)
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed_but_named(server: ScriptedServer, client: XrpcClient) -> None:
    server.answer_in_turn(Reply(b"", 301, {"Location": "https://elsewhere.example/xrpc"}))
    with pytest.raises(RequestRejected, match=r"elsewhere\.example"):
        ask(client)
    assert len(server.asked) == 1


def test_what_a_server_says_cannot_break_the_line_or_fill_the_screen(
    server: ScriptedServer, client: XrpcClient
) -> None:
    server.answer_in_turn(error_reply(400, "Nasty", "first\nsecond\x1b[31m" + "x" * 10_000))
    with pytest.raises(RequestRejected) as caught:
        ask(client)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return int(closed.getsockname()[1])


@pytest.mark.parametrize(("host", "hint"), [("127.0.0.1", "refused"), ("no-such-host.invalid", "internet")])
def test_a_service_that_is_not_there_is_named_in_one_line(host: str, hint: str) -> None:
    client = XrpcClient(f"http://{host}:{closed_port()}", Pacer(1_000), backoff=0.001, timeout=2, max_attempts=2)
    with pytest.raises(ServiceUnreachable) as caught:
        ask(client)
    assert client.host in str(caught.value)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_service_without_tls_where_https_is_asked_is_unreachable(server: ScriptedServer) -> None:
    client = XrpcClient(server.url.replace("http:", "https:"), Pacer(1_000), backoff=0.001, max_attempts=2)
    with pytest.raises(ServiceUnreachable, match="secure connection"):
        ask(client)


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_asks_before_retry_after_is_over(server: ScriptedServer, status: int) -> None:
    client = XrpcClient(server.url, Pacer(1_000), backoff=0.001)
    refused: list[tuple[float, int]] = []
    lock = threading.Lock()

    def answer(asked: Asked) -> Reply:
        with lock:
            if refused:
                # Nobody is answered while the refusal may still be on its way.
                return replace(GOOD, delay=max(0.0, refused[0][0] + 0.5 - time.monotonic()))
            if len(server.asked) < 20:
                return GOOD
            refused.append((time.monotonic(), len(server.asked)))
            return error_reply(status, "RateLimitExceeded", Retry_After="1")

    server.answer = answer
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: ask(client), range(60)))) == 60
    # Each of the three other threads may have sent one more by then.
    [(refused_at, asked_before)] = refused
    assert min(asked.at for asked in server.asked[asked_before + 3 :]) - refused_at >= 1
    assert len(server.asked) == 61


def test_retry_after_may_be_a_date(server: ScriptedServer, client: XrpcClient) -> None:
    in_a_day = formatdate(time.time() + 86_400, usegmt=True)
    server.answer_in_turn(error_reply(429, "RateLimitExceeded", Retry_After=in_a_day))
    with pytest.raises(RateLimited, match=r"14\d\d minutes"):
        ask(client)


def test_a_wait_of_hours_is_not_made(server: ScriptedServer, client: XrpcClient) -> None:
    server.answer_in_turn(error_reply(429, "RateLimitExceeded", Retry_After="72000"))
    with pytest.raises(RateLimited, match="1200 minutes"):
        ask(client)
    assert len(server.asked) == 1


def test_a_429_that_only_names_the_end_of_the_window_is_waited_out(server: ScriptedServer) -> None:
    service = LimitedService(limit=10, window=2, has_retry_after=False)
    server.answer = service.answer
    for _ in range(service.limit):  # by somebody else at this address
        urllib.request.urlopen(server.url).close()
    client = XrpcClient(server.url, Pacer(1_000), backoff=0.001)
    ask(client)
    assert client.stats.rate_limited == 1
    assert len(service.windows) == 2


class LimitedService:
    """Fixed windows with the headers and the rounding of Bluesky's own servers."""

    def __init__(self, limit: int, window: int, *, has_retry_after: bool = True) -> None:
        self.limit = limit
        self.window = window
        self.has_retry_after = has_retry_after
        self.windows: list[int] = []
        self.refused = 0
        self._ends_at = 0.0
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Reply:
        with self._lock:
            now = time.time()
            if now >= self._ends_at:
                self._ends_at = now + self.window
                self.windows.append(0)
            self.windows[-1] += 1
            headers = {
                "RateLimit-Limit": str(self.limit),
                "RateLimit-Remaining": str(max(0, self.limit - self.windows[-1])),
                "RateLimit-Reset": str(int(self._ends_at)),
                "RateLimit-Policy": f"{self.limit};w={self.window}",
            }
            if self.windows[-1] > self.limit:
                self.refused += 1
                if self.has_retry_after:
                    headers["Retry-After"] = str(int(self._ends_at - now) + 1)
                return Reply(b"{}", 429, headers)
            return Reply(b"{}", 200, headers)


def test_several_workers_use_a_window_up_without_being_refused(server: ScriptedServer) -> None:
    service = VirtualService(limit=60, window=2)
    time = VirtualClock(service, 1_000, workers=8, windows=3)
    server.answer = time.answer
    client = XrpcClient(server.url, time.pacer)

    def work(_: int) -> None:
        while not time.is_over():
            ask(client)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert service.refused == client.stats.rate_limited == 0
    assert sum(service.used_by_window[:3]) >= 0.95 * 3 * service.limit


def test_connections_are_kept_and_bounded(server: ScriptedServer) -> None:
    connections: Counter[int] = Counter()
    busy = 0
    most = 0
    lock = threading.Lock()

    def answer(asked: Asked) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
            connections[threading.get_ident()] += 1  # the server has a thread for each connection
        time.sleep(0.005)
        with lock:
            busy -= 1
        return GOOD

    server.answer = answer
    client = XrpcClient(server.url, Pacer(10_000), max_connections=3)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: ask(client), range(60)))
    assert most <= 3
    assert len(connections) <= 3


def test_requests_say_who_asks_and_take_gzip(server: ScriptedServer) -> None:
    body = gzip.compress(GOOD.body)
    server.answer_in_turn(Reply(body, headers={"Content-Encoding": "gzip"}))
    client = XrpcClient(server.url, Pacer(1_000), user_agent=user_agent("ops@example.org"))

    assert ask(client, actors=["a b", "ü"], limit=100, cursor=None)["hello"] == "world"
    [asked] = server.asked
    assert asked.headers["user-agent"].startswith("bluesky-lake/")
    assert "ops@example.org" in asked.headers["user-agent"]
    assert "gzip" in asked.headers["accept-encoding"]
    assert "authorization" not in asked.headers
    assert asked.params == {"actors": ["a b", "ü"], "limit": ["100"]}
    assert client.stats.bytes_received == len(body)
    assert client.stats.requests_by_endpoint == {"com.example.ask": 1}


@pytest.mark.parametrize("contact", ["a@b.org\r\nX-Evil: 1", "é@example.org"])
def test_a_contact_must_fit_into_a_header(contact: str) -> None:
    with pytest.raises(ValueError, match="contact"):
        user_agent(contact)


@pytest.mark.parametrize("service", ["public.api.bsky.app", "ftp://example.org", "https://", ""])
def test_a_service_must_be_a_url(service: str) -> None:
    with pytest.raises(ValueError, match=r"https://public\.api\.bsky\.app"):
        XrpcClient(service, Pacer(1))


def test_stats_add_up() -> None:
    with ScriptedServer(lambda asked: GOOD) as one, ScriptedServer(lambda asked: GOOD) as other:
        clients = [XrpcClient(server.url, Pacer(1_000)) for server in (one, other)]
        for client in clients:
            ask(client)
        both = clients[0].stats + clients[1].stats
    assert both.requests == 2
    assert both.requests_by_endpoint == {"com.example.ask": 2}


def test_a_body_without_end_is_given_up(server: ScriptedServer) -> None:
    zeros = gzip.compress(b"[" + b"0," * (10 << 20))
    server.answer_in_turn(Reply(zeros, headers={"Content-Encoding": "gzip"}))
    client = XrpcClient(server.url, Pacer(1_000), max_attempts=1)
    with pytest.raises(ServiceFailed, match="larger than"):
        ask(client)


def _page(cursor: str | None, *items: str) -> Reply:
    body: dict[str, Any] = {"items": list(items)}
    return json_reply(body if cursor is None else body | {"cursor": cursor})


PAGINGS: dict[str, tuple[list[Reply], list[str], bool]] = {
    "a last page without cursor": ([_page("1", "a", "b"), _page(None, "c")], ["a", "b", "c"], True),
    "an empty last page": ([_page("1", "a"), _page(None)], ["a"], True),
    "short and empty pages before the end": (
        [_page("1"), _page("2", "a"), _page("3"), _page(None, "b")],
        ["a", "b"],
        True,
    ),
    "a cursor that comes again": ([_page("1", "a"), _page("1", "b")], ["a", "b"], False),
    "a page of what was seen": ([_page("1", "a"), _page("2", "a"), _page("3", "a")], ["a"], False),
}


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("must_end", [False, True])
def test_pages_are_read_to_their_end(server: ScriptedServer, client: XrpcClient, paging: str, must_end: bool) -> None:
    replies, expected, has_end = PAGINGS[paging]
    server.answer_in_turn(*replies)
    items: list[str] = []
    try:
        items.extend(item for page in item_pages(client, must_end=must_end) for item in page.items)
    except ServiceFailed:
        assert must_end
        assert not has_end
    else:
        assert has_end or not must_end
        assert items == expected


def test_empty_pages_without_end_are_a_failure(server: ScriptedServer, client: XrpcClient) -> None:
    server.answer = lambda asked: _page(str(len(server.asked)))
    with pytest.raises(ServiceFailed, match="empty pages"):
        list(item_pages(client, must_end=False))


class ItemPage(msgspec.Struct):
    items: list[str]
    cursor: str | None = None
    is_cursor_broken: bool = False


def item_pages(client: XrpcClient, *, must_end: bool) -> Iterator[ItemPage]:
    decode: Callable[[bytes], ItemPage] = msgspec.json.Decoder(ItemPage).decode
    return client.pages("com.example.list", {}, decode, lambda page: page.items, subject="", must_end=must_end)


def test_a_client_for_another_service_asks_it_with_the_same_habits(server: ScriptedServer) -> None:
    server.answer_in_turn(GOOD)
    client = XrpcClient("http://127.0.0.1:9", Pacer(1_000), user_agent="me")
    assert json.loads(client.for_service(server.url).document("/x", bytes, endpoint="page"))["hello"] == "world"
    assert server.asked[0].headers["user-agent"] == "me"
