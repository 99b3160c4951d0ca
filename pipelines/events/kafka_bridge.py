"""A bridge from a stream into a Kafka topic."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.events.event_json import write_json_event
from pipelines.events.kafka_client import ANSWER_SECONDS, POLL_SECONDS, Client, Reader
from pipelines.network.errors import ServiceFailed, ServiceUnreachable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from confluent_kafka import KafkaError, Producer

    from pipelines.events.repo_event import Gap, Position, RepoEvent
    from pipelines.events.stream import Stream

LAST_SECONDS: Final = 5.0
"""How long a broker that takes nothing is waited for when a bridge is told to stop."""

_SENT_AT_ONCE: Final = 5_000
_POSITION_HEADER: Final = "position"


class Bridge(Client):
    """Fills a topic from a stream. Messages of one account stay in order: its DID is their key.

    Every message carries, as a header, the position up to which the topic was complete when it was sent: after a crash
    the bridge goes on there, and no file of its own is needed. What it sends twice is folded by whoever reads it.

    Args:
        stream: Where the events come from, not started yet.
        topic: Where they go.
        settings: librdkafka's, `bootstrap.servers` at least.

    Attributes:
        sent: Events that the broker has.
    """

    def __init__(self, stream: Stream, topic: str, settings: Mapping[str, Any]) -> None:
        super().__init__(topic, settings)
        self.sent = 0
        self._stream = stream
        self._failure: str | None = None

    def run_until(
        self,
        is_over: threading.Event,
        *,
        seconds: float | None,
        until_caught_up: bool,
        on_gap: Callable[[Gap], object],
    ) -> None:
        """Send until told to stop.

        Args:
            is_over: Set by somebody else to end it.
            seconds: End after so long.
            until_caught_up: End when the stream has delivered what was there at the start.
            on_gap: Told of what the stream will not deliver, as soon as that is known.

        Raises:
            NetworkError: The stream or the broker cannot go on, or the broker does not take what is left at the end.
            KafkaUnusable: A setting is wrong.
        """
        producer: Producer = self._connect(self._library.Producer, {"enable.idempotence": True, "linger.ms": 50})
        position = self._last_position()
        self._stream.start(position)
        ends_at = math.inf if seconds is None else time.monotonic() + seconds

        def is_ending() -> bool:
            return is_over.is_set() or time.monotonic() >= ends_at

        try:
            while True:
                is_caught_up = until_caught_up and self._stream.is_caught_up
                delivery = self._stream.take(_SENT_AT_ONCE)
                for gap in delivery.gaps:
                    on_gap(gap)
                if delivery.events:
                    if position is None or position["cursor"] is None:
                        position = _before(delivery.events[0])
                    self._send(producer, delivery.events, position, is_ending)
                    position = delivery.position or position
                if is_ending() or (is_caught_up and not delivery.events):
                    return
                if not delivery.events:
                    is_over.wait(POLL_SECONDS)
        finally:
            self._stream.stop()

    def _send(
        self, producer: Producer, events: Sequence[RepoEvent], position: Position, is_ending: Callable[[], bool]
    ) -> None:
        """Send events, and wait until the broker has all of them.

        Raises:
            ServiceFailed: The broker does not take them.
        """
        headers: dict[str, str | bytes | None] = {
            _POSITION_HEADER: msgspec.json.encode([self._stream.service, position])
        }
        for event in events:
            value = write_json_event(event)
            while True:
                try:
                    producer.produce(self._topic, value, key=event.did, headers=headers, on_delivery=self._delivered)
                    break
                except BufferError:  # As many are on their way as `queue.buffering.max.messages` allows.
                    self._drain(producer, is_ending)
                except self._library.KafkaException as failure:
                    reason = f"an event of {len(value):,} bytes: {failure.args[0].str()}"
                    raise ServiceFailed("kafka", self._topic, "", reason) from failure
            producer.poll(0)
        self._drain(producer, is_ending)

    def _drain(self, producer: Producer, is_ending: Callable[[], bool]) -> None:
        """Wait until the broker has everything that was sent; at the end, for `LAST_SECONDS` at most.

        Raises:
            ServiceFailed: It does not take it.
        """
        left = len(producer)
        while left and not self._failure:
            is_last = is_ending()
            left = producer.flush(LAST_SECONDS if is_last else POLL_SECONDS)
            if is_last:
                break
        if left or self._failure:
            reason = self._failure or f"it did not take the last {left:,} events: the next run sends them again"
            raise ServiceFailed("kafka", self._topic, "", f"{reason} ({self.trouble})" if self.trouble else reason)

    def _delivered(self, error: KafkaError | None, message: object) -> None:
        del message
        if error is None:
            self.sent += 1
            self.trouble = None
        else:
            self._failure = error.str()

    def _last_position(self) -> Position | None:
        """Read where to go on from the last message of each partition; None if none of them came from a bridge.

        Of another host's numbers nothing follows, but the time does.

        Raises:
            NetworkError: The broker cannot be reached, refuses, or does not show them.
        """
        reader = Reader(self._topic, self._settings)
        found: list[tuple[str, Position]] = []
        try:
            logs = {number: reader.log_of(number) for number in reader.first_partitions()}
            unseen = {number: end - 1 for number, (oldest, end) in logs.items() if end > oldest}
            reader.assign(unseen)
            ends_at = time.monotonic() + sum(ANSWER_SECONDS)
            while unseen:
                if time.monotonic() > ends_at:
                    reason = reader.trouble or "the last messages of the topic cannot be read"
                    raise ServiceUnreachable("kafka", self._topic, "", reason)
                message = reader.consumer.poll(POLL_SECONDS)
                number = None if message is None else message.partition()  # One without a value counts as false.
                if message is None or number is None or unseen.pop(number, None) is None:
                    continue
                # Where a transaction ended, there is no message: the end of the partition is told instead.
                error = message.error()
                if error is not None and error.code() != self._library.KafkaError._PARTITION_EOF:
                    raise self._library.KafkaException(error)
                headers = dict(message.headers() or ())
                with suppress(msgspec.DecodeError):
                    match msgspec.json.decode(headers.get(_POSITION_HEADER) or b"null"):
                        case [str(service), {"cursor": _, "event_at": _} as position]:
                            found.append((service, position))
        except self._library.KafkaException as failure:
            reason = reader.trouble or failure.args[0].str()
            raise ServiceUnreachable("kafka", self._topic, "", reason) from failure
        finally:
            reader.consumer.close()
        own = [position for service, position in found if service == self._stream.service]
        times = [position["event_at"] for _, position in found if position["event_at"]]
        elsewhere = {"cursor": None, "event_at": max(times)} if times else None
        return max(own, key=lambda position: position["cursor"], default=elsewhere)


def _before(event: RepoEvent) -> Position:
    """Give a position from which a stream goes on with an event: a bridge that never ran has no other."""
    read_until = event.event_at and event.event_at.isoformat()
    return {"cursor": event.position - 1, "cursor_at": None, "event_at": read_until}
