"""A day of the sample world, streamed as it happens, in half a minute."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.firehose import SampleFirehose
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.world.days import FIRST_SLOT, evening, slot_of
from pipelines.sample.world.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipelines.sample.streams.server import StreamServer

SECONDS: Final = 30.0
"""How long the day takes."""


@contextmanager
def live_day(feed: str, after: datetime | None, *, at_once: bool) -> Iterator[StreamServer]:
    """Serve the day after a pull.

    Args:
        feed: `jetstream` or `firehose`.
        after: When the sample network was last pulled; before its first day, if not given.
        at_once: Whether the day is over when the server starts.
    """
    # A pull looks at an evening a little after it.
    evening_before = evening(slot_of(after - timedelta(hours=1)) if after else 0)
    end = evening_before + timedelta(days=1)
    events = [StreamEvent(n, event) for n, event in enumerate(World().events(evening(FIRST_SLOT - 400), end), start=1)]
    past = [event for event in events if at_once or event.event.at <= evening_before]
    server = SampleJetstream(past) if feed == "jetstream" else SampleFirehose(past)
    is_over = threading.Event()

    def let_it_happen() -> None:
        begun = time.monotonic()
        for event in events[len(past) :]:
            due = SECONDS * ((event.event.at - evening_before) / timedelta(days=1))
            if is_over.wait(max(0.0, begun + due - time.monotonic())):
                return
            server.log.append(event)

    with server:
        writer = threading.Thread(target=let_it_happen, daemon=True)
        writer.start()
        try:
            yield server
        finally:
            is_over.set()
            writer.join()
