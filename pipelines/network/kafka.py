"""A Kafka topic of repository events: polled by assignment from offsets of our own, and filled from a stream.

The consumer group's offsets are not used: they move on their own, and a batch that was lost would not come again.
Connection settings are librdkafka's (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).
"""

from __future__ import annotations

import importlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.network.errors import ServiceFailed, ServiceUnreachable
from pipelines.network.repo_events import (
    Delivery,
    Gap,
    Position,
    RepoEvent,
    read_json_event,
    unreadable,
    write_json_event,
)

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from confluent_kafka import Consumer, Message, Producer

    from pipelines.network.stream import Stream

ANSWER_SECONDS: Final = 15.0
POLL_SECONDS: Final = 0.1
NEW_PARTITIONS_SECONDS: Final = 60.0
_FLUSH_SECONDS: Final = 1.0
_POSITION_HEADER: Final = "position"


class KafkaMissing(Exception):  # noqa: N818 (the message says it all)
    """The client library is not installed."""


def _library() -> Any:
    try:
        return importlib.import_module("confluent_kafka")
    except ImportError as error:
        raise KafkaMissing("Kafka needs its client library: uv sync --extra kafka") from error


def load_decoder(name: str) -> Callable[[bytes], bytes]:
    """Find the function that turns a message's value into an event's JSON.

    Args:
        name: `json` for values that are JSON already, else `package.module:function`.

    Raises:
        ValueError: There is no such function.
    """
    if name == "json":
        return bytes
    module, _, function = name.partition(":")
    try:
        decoder: Callable[[bytes], bytes] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"kafka_value_decoder: there is no function {name!r} (`json`, or `module:function`)"
        ) from error
    return decoder


class Kafka:
    """A feed of the events in a topic.

    Args:
        topic: Its name.
        settings: librdkafka's, `bootstrap.servers` at least.
        decode: Turns a message's value into an event's JSON.
    """

    name = "kafka"

    def __init__(self, topic: str, settings: Mapping[str, Any], *, decode: Callable[[bytes], bytes] = bytes) -> None:
        self.service = topic
        self._settings = dict(settings)
        self._decode = decode
        self._library = _library()
        self._consumer: Consumer | None = None
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._gaps: list[Gap] = []
        self._looked_at = 0.0

    def start(self, position: Position | None) -> None:
        """Take on the topic's partitions where they were left; those that are new from their oldest message.

        Raises:
            NetworkError: The broker cannot be reached, or there is no such topic.
        """
        self._consumer = consumer(self._settings)
        self._assign({int(partition): offset for partition, offset in (position or {}).items()})

    def _assign(self, stored: Mapping[int, int]) -> None:
        assert self._consumer is not None
        library, error = self._library, self._library.KafkaException
        try:
            topic = self._consumer.list_topics(self.service, timeout=ANSWER_SECONDS).topics[self.service]
            if topic.error is not None:
                raise ServiceFailed(self.name, self.service, "", str(topic.error))
            for number in topic.partitions:
                if number in self._next:
                    continue
                oldest, end = self._consumer.get_watermark_offsets(
                    library.TopicPartition(self.service, number), timeout=ANSWER_SECONDS
                )
                self._next[number], self._ends[number] = stored.get(number, oldest), end
                if not oldest <= self._next[number] <= end:
                    what = "deleted before they were read" if self._next[number] < oldest else "of an earlier topic"
                    reason = f"partition {number}: the messages from offset {self._next[number]} on are {what}"
                    self._gaps.append(Gap(None, None, reason, self._next[number], oldest))
                    self._next[number] = oldest
            self._consumer.assign(
                [library.TopicPartition(self.service, number, offset) for number, offset in self._next.items()]
            )
        except error as failure:
            raise ServiceUnreachable(self.name, self.service, "", str(failure.args[0])) from failure
        self._looked_at = time.monotonic()

    def take(self, limit: int) -> Delivery:
        """Hand over messages.

        Raises:
            NetworkError: The broker refuses, for good.
        """
        assert self._consumer is not None
        if time.monotonic() - self._looked_at > NEW_PARTITIONS_SECONDS:
            self._assign({})
        gaps, self._gaps = self._gaps, []
        events: list[RepoEvent] = []
        has_moved = False
        for message in self._consumer.consume(limit, POLL_SECONDS):
            has_moved |= self._advance(message)
            if message.error() is None and (event := self._event(message)):
                events.append(event)
        position = {str(number): offset for number, offset in self._next.items()} if has_moved else None
        return Delivery(events, gaps, position)

    def _advance(self, message: Message) -> bool:
        error = message.error()
        number, offset = message.partition(), message.offset()
        if error is not None and error.code() != self._library.KafkaError._PARTITION_EOF:
            if error.fatal() or not error.retriable():
                raise ServiceFailed(self.name, self.service, "", error.str())
            return False
        if number is None or offset is None:
            return False
        # The end of a partition is told with the offset that comes next; transactions leave offsets without messages.
        reached = offset if error is not None else offset + 1
        has_moved = reached > self._next[number]
        self._next[number] = max(self._next[number], reached)
        return has_moved

    def _event(self, message: Message) -> RepoEvent | None:
        value, offset = message.value(), message.offset() or 0
        if value is None:
            return None
        raw = value.encode() if isinstance(value, str) else value
        try:
            event = read_json_event(self._decode(raw), offset) or unreadable(raw, offset, "not JSON")
        except Exception as error:  # Whatever a decoder of the user's own raises, the message is kept.
            event = unreadable(raw, offset, error)
        kind, milliseconds = message.timestamp()
        if event.event_at is None and kind != self._library.TIMESTAMP_NOT_AVAILABLE:
            # Tap tells no time of a new handle or status. What is read again must have the same time again.
            event.event_at = datetime.fromtimestamp(milliseconds / 1e3, UTC)
        return event

    def commit(self, position: Position) -> None:
        """Nothing to do: the offsets live with the data."""

    @property
    def is_caught_up(self) -> bool:
        """Whether every partition was read to the end that it had at the start."""
        return all(self._next[number] >= end for number, end in self._ends.items())

    @property
    def condition(self) -> str:
        """How far the partitions are read."""
        behind = sum(max(0, end - self._next[number]) for number, end in self._ends.items())
        return f"{len(self._next)} partitions, {behind:,} messages of the start left"

    def stop(self) -> None:
        """Leave the broker."""
        if self._consumer is not None:
            self._consumer.close()


def consumer(settings: Mapping[str, Any]) -> Consumer:
    """Make a consumer that decides nothing by itself."""
    ours = {
        "group.id": "bluesky-lake",  # The library wants one; nothing is committed to it.
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "error_cb": lambda _: None,
        "log_level": 0,
    }
    made: Consumer = _library().Consumer({**ours, **settings})
    return made


class Bridge:
    """Fills a topic from a stream. Messages of one account stay in order: its DID is their key.

    Every message carries, as a header, the position up to which the topic was complete when it was sent: after a crash
    the bridge goes on there, and no file of its own is needed. What it sends twice is folded by whoever reads it.

    Args:
        stream: Where the events come from, not started yet.
        topic: Where they go.
        settings: librdkafka's, `bootstrap.servers` at least.

    Attributes:
        sent: Events that the broker has.
        gaps: What the stream did not deliver.
    """

    def __init__(self, stream: Stream, topic: str, settings: Mapping[str, Any]) -> None:
        self.sent = 0
        self.gaps: list[Gap] = []
        self._stream, self._topic, self._settings = stream, topic, dict(settings)
        self._library = _library()
        self._failure: str | None = None

    def run_until(self, is_over: threading.Event, *, seconds: float | None, until_caught_up: bool) -> None:
        """Send until told to stop.

        Raises:
            NetworkError: The stream or the broker cannot go on.
        """
        made: Producer = self._library.Producer(
            {"enable.idempotence": True, "linger.ms": 50, "log_level": 0, **self._settings}
        )
        position = self._last_position()
        self._stream.start(position)
        ends_at = None if seconds is None else time.monotonic() + seconds
        try:
            while True:
                is_caught_up = until_caught_up and self._stream.is_caught_up
                delivery = self._stream.take(5_000)
                self.gaps += delivery.gaps
                for event in delivery.events:
                    self._send(made, event, position)
                if delivery.events:
                    self._flush(made)
                    position = delivery.position or position
                    self.sent += len(delivery.events)
                if is_over.is_set() or (ends_at is not None and time.monotonic() >= ends_at):
                    return
                if not delivery.events:
                    if is_caught_up:
                        return
                    is_over.wait(POLL_SECONDS)
        finally:
            self._stream.stop()

    def _send(self, made: Producer, event: RepoEvent, position: Position | None) -> None:
        header: dict[str, str | bytes | None] = {
            _POSITION_HEADER: msgspec.json.encode([self._stream.service, position])
        }
        while True:
            try:
                made.produce(
                    self._topic, write_json_event(event), key=event.did, headers=header, on_delivery=self._delivered
                )
                made.poll(0)
                return
            except BufferError:
                made.poll(POLL_SECONDS)

    def _flush(self, made: Producer) -> None:
        while made.flush(_FLUSH_SECONDS):
            if self._failure:
                break
        if self._failure:
            raise ServiceFailed("kafka", self._topic, "", self._failure)

    def _delivered(self, error: Any, message: object) -> None:
        del message
        if error is not None:
            self._failure = error.str()

    def _last_position(self) -> Position | None:
        """Read the furthest position from the last message of each partition."""
        reader = consumer(self._settings)
        found: list[Position] = []
        try:
            topic = reader.list_topics(self._topic, timeout=ANSWER_SECONDS).topics[self._topic]
            for number in topic.partitions:
                partition = self._library.TopicPartition(self._topic, number)
                oldest, end = reader.get_watermark_offsets(partition, timeout=ANSWER_SECONDS)
                if end <= oldest:
                    continue
                partition.offset = end - 1
                reader.assign([partition])
                message = reader.poll(ANSWER_SECONDS)
                headers = dict((message and message.headers()) or ())
                match msgspec.json.decode(headers.get(_POSITION_HEADER) or b"null"):
                    case [self._stream.service, {"cursor": _} as position]:
                        found.append(position)
        except self._library.KafkaException as failure:
            raise ServiceUnreachable("kafka", self._topic, "", str(failure.args[0])) from failure
        finally:
            reader.close()
        return max(found, key=lambda position: position["cursor"], default=None)
