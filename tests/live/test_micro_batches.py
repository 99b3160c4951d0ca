"""The loop that loads what a feed delivers, and how it shows what it does."""

from __future__ import annotations

import io
from contextlib import ExitStack

import dlt
import pytest

from pipelines.events.jetstream import Jetstream
from pipelines.network.errors import RequestRejected
from pipelines.panel import show_live
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.streams.server import StreamRefusal, Subscription
from pipelines.sources.micro_batches import BatchLimits, MicroBatches
from pipelines.terminal import Terminal
from tests.live.conftest import QUICK, key_of, wait_until


def refuse(path: str, params: object) -> Subscription:
    raise StreamRefusal(403, "Forbidden", "not for you")


def test_what_a_feed_delivered_before_it_failed_for_good_is_in_the_lake(live, world_events, monkeypatch):  # type: ignore[no-untyped-def]
    live.limits = BatchLimits(seconds=3600, events=10_000)
    with SampleJetstream(world_events[:100]) as server:
        feed = Jetstream(server.url, dids=None, limits=QUICK)
        feed.bookmark.go_on(0)
        with ExitStack() as stack:
            batches = stack.enter_context(live.running(feed))
            # The first batch does not wait; the next one would, for an hour.
            wait_until(lambda: batches.run.loaded_count > 0)
            server.log.extend(world_events[100:200])
            wait_until(lambda: batches.run.event_count == 200)
            monkeypatch.setattr(server, "subscribe", refuse)
            feed.reconnect()
            wait_until(lambda: feed.condition.endswith("not for you"))
            with pytest.raises(RequestRejected, match="not for you"):
                stack.close()
    assert live.folded().keys() == {key_of(event) for event in world_events[:200]}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("is_terminal", [True, False])
def test_each_gap_is_named_once(is_terminal: bool) -> None:
    out = io.StringIO()
    batches = MicroBatches(
        dlt.pipeline("bluesky_jetstream"), Jetstream("ws://127.0.0.1:9", dids=None), BatchLimits(1, 1)
    )
    with show_live(batches, Terminal(out, force_terminal=is_terminal)):
        batches.run.gaps += ["events are missing: one", "events are missing: two"]
    assert [out.getvalue().count(f"events are missing: {name}") for name in ("one", "two")] == [1, 1]
