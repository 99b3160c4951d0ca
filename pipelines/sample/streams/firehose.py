"""The sample world's firehose: com.atproto.sync.subscribeRepos, as a relay serves it."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from pipelines.sample.streams.events import cbor_error, cbor_frame
from pipelines.sample.streams.server import StreamRefusal, StreamServer, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipelines.sample.streams.events import StreamEvent


class SampleFirehose(StreamServer):
    """A relay over a log of events.

    Attributes:
        oldest: Index into the log of the oldest event that is still kept.
    """

    def __init__(self, events: Iterable[StreamEvent] = (), *, port: int = 0) -> None:
        super().__init__(events, port=port)
        self.oldest = 0

    def subscribe(self, path: str, params: Mapping[str, list[str]]) -> Subscription:
        """Answer `subscribeRepos`: events after a cursor, or from now on."""
        if path != "/xrpc/com.atproto.sync.subscribeRepos":
            raise StreamRefusal(404, "MethodNotImplemented", path)
        start, greeting = len(self.log), tuple[bytes, ...]()
        if "cursor" in params:
            cursor = int(params["cursor"][0])
            if self.log and cursor > self.log[-1].seq:
                frame = self.error_frame("FutureCursor", "Cursor in the future.")
                return Subscription(start, lambda _: False, lambda event: event.firehose, (frame,))
            found = bisect_right(self.log, cursor, key=lambda event: event.seq)
            start = max(found, self.oldest)
            if found < self.oldest:
                greeting = (
                    cbor_frame("#info", {"name": "OutdatedCursor", "message": "Requested cursor exceeded limit"}),
                )
        return Subscription(start, lambda _: True, lambda event: event.firehose, greeting)

    def error_frame(self, error: str, message: str) -> bytes:
        """Write an error frame."""
        return cbor_error(error, message)
