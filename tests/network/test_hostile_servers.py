"""What a server that a stranger has chosen may cost: each answer, each conversation, and where it may be.

Real servers on localhost, which count as public here, with budgets of a moment.
"""

from __future__ import annotations

import itertools
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.network import addresses, exchange, repositories, xrpc
from pipelines.network.addresses import is_inside
from pipelines.network.appview import AppView
from pipelines.network.budgets import Budget
from pipelines.network.connections import Connections
from pipelines.network.errors import BudgetSpent, NetworkError, ServiceFailed, ServiceUnreachable
from pipelines.network.exchange import AddressRefused, Exchange
from pipelines.network.json_shape import MOST_VALUES
from pipelines.network.pacing import Pacer
from pipelines.network.paging import MOST_ITEMS
from pipelines.network.repositories import Repositories
from pipelines.network.xrpc import LARGEST_BODY, XrpcClient
from tests.network.hostile_server import HostileServer
from tests.network.scripted_server import Asked, Reply, ScriptedServer, error_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
LIST = f"at://{DID}/app.bsky.graph.list/3k"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def endless(piece: bytes, *before: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.chain(before, itertools.repeat(piece))


FLOODS = {
    "100 Continue": endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "102 Processing": endless(b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
    "headers": endless(b"X-A: " + b"a" * 60_000 + b"\r\n", HEAD),
    "one header": endless(b"a" * 60_000, HEAD),
    "a status": endless(b"1" * 60_000),
    "a chunk's size": endless(b"0" * 60_000, CHUNKED),
    "trailers": endless(b"X-A: " + b"a" * 60_000 + b"\r\n", CHUNKED, b"0\r\n"),
    "a body": endless(b"a" * 60_000, HEAD + b"\r\n"),
}
TRICKLES = {
    "a status": endless(b"H"),
    "100 Continue": endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "headers": endless(b"X", HEAD),
    "a chunk's size": endless(b"0", CHUNKED),
    "trailers": endless(b"X", CHUNKED, b"0\r\n"),
    "a body": endless(b" ", HEAD + b"\r\n"),
}


def answer_or_error(question: Callable[[], object]) -> object:
    try:
        return question()
    except NetworkError as error:
        return error


def ask(client: XrpcClient) -> Any:
    return client.query("com.example.ask", {}, msgspec.json.decode)


@pytest.mark.parametrize("flood", FLOODS)
def test_an_answer_without_end_is_given_up_by_its_size(flood: str) -> None:
    begun = time.monotonic()
    with HostileServer(FLOODS[flood]) as server:
        client = XrpcClient(server.url, Pacer(1_000), timeout=30, max_attempts=1)
        with pytest.raises(NetworkError):
            ask(client)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("trickle", TRICKLES)
def test_an_answer_that_trickles_is_given_up_when_its_time_is_over(trickle: str) -> None:
    begun = time.monotonic()
    with HostileServer(TRICKLES[trickle], pause=0.02) as server:
        client = XrpcClient(server.url, Pacer(1_000), timeout=0.2, max_attempts=1)
        with pytest.raises(NetworkError):
            ask(client)
    assert time.monotonic() - begun < 2


def test_a_repository_that_trickles_is_given_up_by_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xrpc, "STREAM_STARTS", 0.2)
    begun = time.monotonic()
    with HostileServer(TRICKLES["a body"], pause=0.02) as server:
        client = XrpcClient(server.url, Pacer(1_000), max_attempts=1)
        with pytest.raises(ServiceFailed, match="bytes after"):
            list(client.stream("com.example.ask", {}, accept="*/*"))
    assert time.monotonic() - begun < 2


def streaming(piece: bytes = b"x" * 8_192) -> Callable[[], Iterator[bytes]]:
    """Send faster than the slowest pace that is taken, and without an end."""
    return endless(piece, HEAD + b"\r\n")


def test_repositories_without_an_end_share_what_they_take_beyond_their_own_time(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repositories, "SHARED_SECONDS", 1.0)
    budget = lambda patience: Budget("one repository", seconds=30, own_seconds=0.2, patience=patience)  # noqa: E731
    monkeypatch.setattr(repositories, "repository_budget", budget)
    whole = b"x" * 3_000_000
    took = []
    with HostileServer(streaming(), pause=0.02) as endless_server:
        urls = {f"/{DID[:-1]}{letter}": endless_server.url for letter in "bcde"} | {f"/{DID}": server.url}

        def answer(asked: Asked) -> Reply:
            if asked.path not in urls:
                return Reply(whole)
            return json_reply({"service": [{"id": "#atproto_pds", "serviceEndpoint": urls[asked.path]}]})

        server.answer = answer
        reader = Repositories(XrpcClient(server.url, Pacer(10_000), timeout=2), server.url)
        for letter in "bcde":
            begun = time.monotonic()
            with pytest.raises(
                BudgetSpent, match=r"given up: after [\d,]+ bytes, it takes more than 0 seconds, and the 1"
            ):
                list(reader.repository(f"{DID[:-1]}{letter}"))
            took.append(time.monotonic() - begun)
        assert b"".join(reader.repository(DID)) == whole, "who is not slow loses nothing by it"
    assert took[0] > 1
    assert max(took) < 10, "who comes later has their own time"


def test_what_whoever_takes_a_repository_needs_for_it_is_not_the_servers(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repositories, "repository_budget", lambda _: Budget("one repository", seconds=1))
    reader = pds(server, lambda _: Reply(b"x" * 6_000_000))
    size = 0
    for chunk in reader.repository(DID):
        size += len(chunk)
        time.sleep(0.2)
    assert size == 6_000_000


def test_our_own_pace_costs_no_budget(server: ScriptedServer) -> None:
    server.answer = lambda _: Reply(b"[5]")
    client = XrpcClient(server.url, Pacer(4), timeout=5)
    budget = Budget("one account", seconds=1.2)
    begun = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        questions = [pool.submit(client.query, "x", {}, msgspec.json.decode, budget=budget) for _ in range(8)]
    assert [question.result() for question in questions] == [[5]] * 8
    assert time.monotonic() - begun > 1.5


HEADERS = st.dictionaries(
    st.sampled_from(["Date", "Location", "Content-Type", "Content-Encoding", "Retry-After"])
    | st.sampled_from(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy"]),
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
        st.integers().map(str),
        st.floats().map(str),
        st.sampled_from(
            [
                "1e400",
                "-1",
                "9" * 5_000,
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "Mon, 01 Jan 0001 00:00:00 -2359",
                "Thu, 01 Jan 1970 00:00:00 -0000",
                "gzip",
                "5;w=" + "9" * 400,
            ]
        ),
    ),
)


@given(headers=HEADERS, status=st.sampled_from([200, 301, 404, 429, 500, 503]), body=st.binary(max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_ends_in_anything_but_an_answer_or_an_error_of_the_network(
    server: ScriptedServer, headers: dict[str, str], status: int, body: bytes
) -> None:
    server.answer = lambda _: Reply(body if status != 200 else b"[5]", status, headers)
    client = XrpcClient(server.url, Pacer(1_000), timeout=5, max_attempts=1)
    came = answer_or_error(lambda: ask(client))
    assert came == [5] or str(came).isprintable()
    client.clock()


@pytest.fixture
def short_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "account_budget", lambda _: Budget("one account", 20, 100_000, 5))


def pds(server: ScriptedServer, answer: Callable[[Asked], Reply]) -> Repositories:
    """Let a server be the directory of DIDs, and the server of an account that answers as told."""
    document = {"service": [{"id": "#atproto_pds", "serviceEndpoint": server.url}]}

    def answer_all(asked: Asked) -> Reply:
        return json_reply(document) if asked.path == f"/{DID}" else answer(asked)

    server.answer = answer_all
    return Repositories(XrpcClient(server.url, Pacer(10_000), backoff=0.001, timeout=2), server.url)


def page(cursor: int, *rkeys: int, **more: Any) -> Reply:
    uris = [f"at://{DID}/app.bsky.graph.listitem/{rkey}" for rkey in rkeys]
    records = [{"uri": uri, "cid": "x", "value": {"list": LIST, "subject": DID}} for uri in uris]
    return json_reply({"records": records, "cursor": str(cursor)} | more)


@pytest.mark.usefixtures("short_budget")
@pytest.mark.parametrize("size", [0, 10_000])
def test_records_without_end_are_given_up_by_the_budget_of_the_account(server: ScriptedServer, size: int) -> None:
    numbers = itertools.count()
    reader = pds(server, lambda _: page(next(numbers), next(numbers), padding="x" * size))
    with pytest.raises(BudgetSpent, match="bytes" if size else "20 requests"):
        list(reader.list_item_records(DID, LIST))
    assert len(server.asked) <= 20
    with pytest.raises(BudgetSpent):
        reader.record(DID, "app.bsky.graph.listitem", "3k")
    assert len(server.asked) <= 20, "whatever else is asked of the account"


@pytest.mark.parametrize("period", [1, 2, 3, 7])
def test_pages_that_come_in_turn_end_whatever_their_period(server: ScriptedServer, period: int) -> None:
    numbers = itertools.count()
    reader = pds(server, lambda _: page(next(numbers), next(numbers) // 2 % period))
    with pytest.raises(ServiceFailed, match="repeat"):
        list(reader.list_item_records(DID, LIST))
    assert len(server.asked) <= period + 2


def limited(limit: int, remaining: int) -> dict[str, str]:
    reset = str(int(time.time()) + 800)
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), "RateLimit-Reset": reset}


@pytest.mark.usefixtures("short_budget")
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda: Reply(page(1, 1).body, headers=limited(3_000, 0)), "rate limit"),
        (lambda: error_reply(429, "RateLimitExceeded", Retry_After="800"), "asks to wait"),
        (lambda: error_reply(503, "Busy", Retry_After="800"), "asks to wait"),
    ],
    ids=["the limit is used up", "429", "503"],
)
def test_a_stranger_can_ask_for_no_wait_beyond_the_budget(
    server: ScriptedServer, reply: Callable[[], Reply], error: str
) -> None:
    reader = pds(server, lambda _: reply())
    begun = time.monotonic()
    with pytest.raises(NetworkError, match=error):
        list(reader.list_item_records(DID, LIST))
    assert time.monotonic() - begun < 2


def test_a_limit_of_nothing_is_no_limit(server: ScriptedServer) -> None:
    numbers = itertools.count()
    reader = pds(server, lambda _: Reply(page(n := next(numbers), n).body, headers=limited(0, 0)))
    begun = time.monotonic()
    assert len(list(itertools.islice(reader.list_item_records(DID, LIST), 4))) == 4
    assert time.monotonic() - begun < 2


@pytest.fixture
def in_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the directory on localhost count as one of the public network, and nothing else."""
    monkeypatch.setattr(addresses, "_is_service_inside", lambda _: False)


def inside_names(port: str) -> list[str]:
    hosts = ["localhost", "127.0.0.1", "[::1]", "127.1", "0x7f.1", "2130706433", "10.0.0.1", "169.254.169.254"]
    return [f"https://{host}:{port}" for host in hosts] + [f"http://localhost:{port}"]


@pytest.mark.usefixtures("in_public")
@pytest.mark.parametrize("number", range(len(inside_names("1"))))
def test_a_stranger_cannot_have_this_machine_asked(server: ScriptedServer, number: int) -> None:
    endpoint = inside_names(server.host.partition(":")[2])[number]
    document = {"service": [{"id": "#atproto_pds", "serviceEndpoint": endpoint}]}
    server.answer = lambda asked: json_reply(document) if asked.path == f"/{DID}" else error_reply(500, "a secret")
    reader = Repositories(XrpcClient(server.url, Pacer(1_000), backoff=0.001), server.url)
    with pytest.raises(ServiceUnreachable, match="not asked") as caught:
        reader.record(DID, "app.bsky.feed.post", "3k")
    assert "secret" not in str(caught.value)
    with pytest.raises(ServiceUnreachable, match="not asked"):
        list(reader.repository(DID))
    assert [asked.path for asked in server.asked] == [f"/{DID}"]


@pytest.mark.usefixtures("in_public")
def test_a_server_inside_is_asked_if_the_settings_name_it(server: ScriptedServer) -> None:
    host = server.host.replace("127.0.0.1", "localhost")
    document = {"service": [{"id": "#atproto_pds", "serviceEndpoint": f"http://{host}"}]}
    server.answer = lambda asked: json_reply(document) if asked.path == f"/{DID}" else json_reply({"value": {}})
    client = XrpcClient(server.url, Pacer(1_000), backoff=0.001)
    for named in ([], ["localhost"], ["localhost:1"], [f"x{host}"]):
        with pytest.raises(ServiceUnreachable, match="not asked"):
            Repositories(client, server.url, named).record(DID, "app.bsky.feed.post", "3k")
    with suppress(NetworkError):
        Repositories(client, server.url, [host.upper()]).record(DID, "app.bsky.feed.post", "3k")
    assert {asked.path for asked in server.asked} == {f"/{DID}", "/xrpc/com.atproto.repo.getRecord"}


@pytest.mark.usefixtures("in_public")
def test_did_web_cannot_have_this_machine_asked(server: ScriptedServer) -> None:
    reader = Repositories(XrpcClient(server.url, Pacer(1_000), backoff=0.001), server.url)
    with pytest.raises(ServiceUnreachable, match="not asked"):
        reader.pds_endpoint("did:web:localhost%3A" + server.host.partition(":")[2])
    assert not server.asked


@pytest.mark.usefixtures("in_public")
def test_behind_a_proxy_an_address_is_refused_that_stands_in_the_document(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(AddressRefused):
        Connections().request("GET", "https://10.0.0.1/", Exchange(5, 1_000, is_inside))
    assert not server.asked


def test_a_name_is_connected_to_at_the_very_address_that_was_found_to_be_allowed(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []

    def addresses_of(host: str, port: int | None) -> list[str]:
        resolved.append(host)
        return ["10.0.0.1", "127.0.0.1"]

    monkeypatch.setattr(exchange, "addresses_of", addresses_of)
    url = f"http://two-faced.example:{server.host.partition(':')[2]}/"
    answer = Connections().request("GET", url, Exchange(5, 10_000, lambda address: address == "10.0.0.1"))
    assert answer.status == 200
    assert resolved == ["two-faced.example"], "once: nobody can answer otherwise the second time"
    assert server.asked[0].headers["host"].startswith("two-faced.example")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((address, True) for address in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254")),
        *((address, True) for address in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")),
        *((address, True) for address in ("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1")),
        *((address, True) for address in ("64:ff9b::7f00:1", "2002:7f00:1::", "not an address", "")),
        *((address, False) for address in ("8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808")),
    ],
)
def test_what_is_inside(address: str, expected: bool) -> None:
    assert is_inside(address) == expected


def feed(*items: bytes) -> bytes:
    return b'{"feed":[' + b",".join(items) + b'],"cursor":"c"}'


@pytest.mark.parametrize(
    ("item", "count"),
    [
        (b"{}", MOST_ITEMS + 1),
        (b'{"post":{"uri":"at://x"}}', 200_000),
        (b"{}", LARGEST_BODY // 3 - 20),
        (b"1", LARGEST_BODY // 2 - 20),
        (b'{"post":[' + b"{}," * MOST_VALUES + b"{}]}", 1),
    ],
    ids=["a few too many", "200,000", "five million", "eight million numbers", "one large"],
)
def test_a_page_of_more_than_was_asked_for_fails_and_takes_little_memory(
    server: ScriptedServer, item: bytes, count: int
) -> None:
    body = feed((item + b",") * (count - 1) + item)
    server.answer = lambda _: Reply(body)
    appview = AppView(server.url, Pacer(1_000), max_attempts=1)
    begun, most_before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ServiceFailed):
        appview.feed_page(DID)
    most_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most_before
    assert most_kilobytes * 1024 < 10 * LARGEST_BODY
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("depth", [101, 2_000, 100_000])
def test_an_item_that_is_too_deep_is_kept_as_it_is_and_costs_no_other(server: ScriptedServer, depth: int) -> None:
    deep = b'{"x":' + b"[" * depth + b"]" * depth + b"}"
    server.answer = lambda _: Reply(feed(b'{"a":1}', deep, b'{"b":2}'))
    found = AppView(server.url, Pacer(1_000)).feed_page(DID)
    assert [bytes(item) for item in found.feed] == [b'{"a":1}', deep, b'{"b":2}']
    assert found.cursor == "c"
    assert len(server.asked) == 1, "it would not come otherwise"


@pytest.mark.parametrize("depth", [101, 900, 2_000, 1_000_000])
def test_what_is_too_deep_is_an_error_of_the_network(server: ScriptedServer, depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    reader = pds(server, lambda _: Reply(b'{"uri":"at://x/y/z","value":{"x":' + deep + b"}}"))
    with pytest.raises(ServiceFailed, match=r"deep|values"):
        reader.record(DID, "app.bsky.feed.post", "3k")
    server.answer = lambda _: Reply(deep)
    with pytest.raises(ServiceFailed, match=r"deep|values"):
        ask(XrpcClient(server.url, Pacer(1_000), max_attempts=1))


@pytest.mark.parametrize("depth", [99, 100])
def test_what_is_as_deep_as_may_be_is_read(server: ScriptedServer, depth: int) -> None:
    server.answer = lambda _: Reply(b"[" * depth + b"]" * depth + b" ")
    assert ask(XrpcClient(server.url, Pacer(1_000), max_attempts=1))


def test_a_cursor_too_long_to_be_sent_is_none(server: ScriptedServer) -> None:
    server.answer = lambda _: json_reply({"feed": [{"a": 1}], "cursor": "x" * 100_000})
    found = AppView(server.url, Pacer(1_000)).feed_page(DID)
    assert found.is_cursor_broken
    assert len(found.feed) == 1


odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("https://x.example")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "service", "serviceEndpoint", "records", "cursor", "uri", "cid", "value", "list"])
            | st.sampled_from(["verificationMethod", "type", "publicKeyMultibase", "did", "active", "status", "rev"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@given(document=odd, answer=odd, mangled=st.binary(max_size=3), at=st.integers(0, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_document_and_no_record_ends_in_anything_but_an_error_of_the_network(
    server: ScriptedServer, document: object, answer: object, mangled: bytes, at: int
) -> None:
    body = msgspec.json.encode(answer)
    reader = pds(server, lambda _: Reply(body[:at] + mangled + body[at:]))
    reader._settings = XrpcClient(server.url, Pacer(10_000), max_attempts=1, timeout=2)
    for question in (
        lambda: list(reader.list_item_records(DID, LIST)),
        lambda: reader.list_item_record(f"at://{DID}/app.bsky.graph.listitem/3k"),
        lambda: reader.latest_commit(DID),
        lambda: reader.expect_served(DID),
    ):
        came = answer_or_error(question)
        assert not isinstance(came, NetworkError) or str(came).isprintable()
    server.answer = lambda _: Reply(msgspec.json.encode(document))
    other = Repositories(reader._settings, server.url)
    assert str(answer_or_error(lambda: other.pds_endpoint(DID))).isprintable()
