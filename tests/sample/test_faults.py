"""Each fault of the sample server does what its name says, as often as it was told, and to whom."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import urllib3

from pipelines.sample.appview.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World

    Ask = Callable[..., tuple[int, dict[str, Any]]]

FEED = "app.bsky.feed.getAuthorFeed"


@pytest.fixture
def url(world: World, sample_server: SampleServer) -> str:
    return f"{sample_server.url}/xrpc/{FEED}?limit=10&actor={world.actor('mara').did}"


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (Fault.RATE_LIMITED, 429, "application/json"),
        (Fault.INTERNAL_ERROR, 500, "application/json"),
        (Fault.BAD_GATEWAY, 502, "text/html"),
        (Fault.UNAVAILABLE, 503, "text/html"),
        (Fault.FORBIDDEN, 403, "text/html"),
    ],
)
def test_refusals(
    *, sample_server: SampleServer, http: urllib3.PoolManager, url: str, fault: Fault, status: int, content_type: str
) -> None:
    sample_server.faults.add(fault, times=2)
    responses = [http.request("GET", url) for _ in range(3)]
    assert [response.status for response in responses] == [status, status, 200]
    assert responses[0].headers["content-type"].startswith(content_type)
    assert "retry-after" not in responses[0].headers
    assert [request.status for request in sample_server.requests] == [status, status, 200]


def test_a_429_can_say_how_long(sample_server: SampleServer, http: urllib3.PoolManager, url: str) -> None:
    sample_server.faults.add(Fault.RATE_LIMITED, retry_after=7)
    assert http.request("GET", url).headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("fault", "reason", "is_sent"),
    [
        (Fault.RESET, "reset by peer", False),
        (Fault.RESET_IN_BODY, "reset by peer", True),
        (Fault.CLOSED_IN_BODY, "IncompleteRead", True),
    ],
)
def test_broken_connections(
    *, sample_server: SampleServer, http: urllib3.PoolManager, url: str, fault: Fault, reason: str, is_sent: bool
) -> None:
    sample_server.faults.add(fault)
    with pytest.raises(urllib3.exceptions.ProtocolError, match=reason):
        http.request("GET", url)
    assert sample_server.requests[0].status == (200 if is_sent else 0)
    assert http.request("GET", url).status == 200


@pytest.mark.parametrize("fault", [Fault.CUT_BODY, Fault.INVALID_JSON])
def test_bodies_that_are_no_json(
    sample_server: SampleServer, http: urllib3.PoolManager, url: str, fault: Fault
) -> None:
    sample_server.faults.add(fault)
    response = http.request("GET", url)
    assert response.status == 200
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(response.data)
    assert http.request("GET", url).json()["feed"]


def test_bodies_of_another_shape(sample_server: SampleServer, http: urllib3.PoolManager, url: str) -> None:
    for fault in (Fault.ARRAY, Fault.LIST_MISSING, Fault.LIST_IS_TEXT):
        sample_server.faults.add(fault)
    array, missing, text = (http.request("GET", url).json() for _ in range(3))
    assert isinstance(array, list)
    assert missing.keys() == {"cursor"}
    assert isinstance(text["feed"], str)


def test_slow_answers(sample_server: SampleServer, http: urllib3.PoolManager, url: str) -> None:
    sample_server.faults.add(Fault.SLOW, seconds=0.3)
    started = time.monotonic()
    assert http.request("GET", url).status == 200
    assert time.monotonic() - started >= 0.3


def test_a_cursor_can_repeat_for_ever(world: World, sample_server: SampleServer, ask: Ask) -> None:
    did = world.actor("mara").did
    sample_server.faults.add(Fault.CURSOR_REPEATS, times=None)
    _, first = ask(sample_server, FEED, actor=did)
    for _ in range(3):
        _, page = ask(sample_server, FEED, actor=did, cursor=first["cursor"])
        assert page["cursor"] == first["cursor"]


@pytest.mark.parametrize("skip", [0, 1])
def test_an_empty_page_loses_nothing(world: World, sample_server: SampleServer, ask: Ask, skip: int) -> None:
    did = world.actor("mara").did
    sample_server.faults.add(Fault.EMPTY_PAGE, skip=skip)
    sizes, uris, params = [], [], {"actor": did, "limit": 100}
    while True:
        _, page = ask(sample_server, FEED, **params)
        sizes.append(len(page["feed"]))
        uris += [(item.get("reason") or item["post"])["uri"] for item in page["feed"]]
        if "cursor" not in page:
            break
        assert page["cursor"] != params.get("cursor")
        params["cursor"] = page["cursor"]
    assert sizes[skip] == 0
    assert uris == [item.uri for item in world.on(1).feed(did)]


def test_a_feed_can_end_early(sample_server: SampleServer, http: urllib3.PoolManager, url: str) -> None:
    sample_server.faults.add(Fault.ENDS_EARLY)
    assert "cursor" not in http.request("GET", url).json()
    assert "cursor" in http.request("GET", url).json()


def test_a_fault_keeps_to_its_method_and_its_actor(world: World, sample_server: SampleServer, ask: Ask) -> None:
    mara, leo = world.actor("mara").did, world.actor("leo").did
    sample_server.faults.add(Fault.INTERNAL_ERROR, nsid=FEED, actor=leo, times=None)
    assert ask(sample_server, FEED, actor=mara)[0] == 200
    assert ask(sample_server, "app.bsky.actor.getProfile", actor=leo)[0] == 200
    assert ask(sample_server, FEED, actor=leo)[0] == 500
    sample_server.faults.clear()
    assert ask(sample_server, FEED, actor=leo)[0] == 200


def test_random_faults_are_the_same_for_the_same_seed(
    sample_server: SampleServer, http: urllib3.PoolManager, url: str
) -> None:
    runs = []
    for _ in range(2):
        sample_server.faults.clear()
        sample_server.faults.at_random(0.4, [Fault.INTERNAL_ERROR, Fault.BAD_GATEWAY], seed=3)
        runs.append([http.request("GET", url).status for _ in range(30)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500, 502}


def test_bodies_can_be_mutated(sample_server: SampleServer, http: urllib3.PoolManager, url: str) -> None:
    sample_server.faults.mutate(lambda body: body.replace(b"likeCount", b"loveCount"), nsid=FEED)
    assert b"likeCount" not in http.request("GET", url).data
