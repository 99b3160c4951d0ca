"""A Kafka topic as a feed of repository events: polled by assignment, from offsets of our own.

The consumer group's offsets are not used: they move on their own, and a batch that was lost would not come again.
Offsets mean nothing in a topic that was deleted and made anew. It is recognised by its id, which brokers tell since
Kafka 2.8 (KIP-516); where one does not (librdkafka's mock of a cluster is one), only by ending before what was read.
"""

from __future__ import annotations

import importlib
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pipelines.events.event_json import read_json_event
from pipelines.events.kafka_client import POLL_SECONDS, KafkaUnusable, Reader, library
from pipelines.events.repo_event import Delivery, Gap, Position, RepoEvent, unreadable
from pipelines.network.errors import ServiceFailed, ServiceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka import Message

NEW_PARTITIONS_SECONDS: Final = 60.0
_TOPIC_ID: Final = "topic_id"


def load_decoder(name: str) -> Callable[[bytes], bytes]:
    """Find the function that turns a message's value into an event's JSON.

    Args:
        name: `json` for values that are JSON already, else `package.module:function`.

    Raises:
        KafkaUnusable: There is no such function.
    """
    if name == "json":
        return bytes
    module, _, function = name.partition(":")
    try:
        decoder: Callable[[bytes], bytes] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise KafkaUnusable(
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
        self._library = library()
        self._reader: Reader | None = None
        self._topic_id: str | None = None
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._gaps: list[Gap] = []
        self._looked_at = 0.0

    def start(self, position: Position | None) -> None:
        """Take on the topic's partitions where they were left; those that are new from their oldest message.

        Raises:
            NetworkError: The broker cannot be reached, refuses, or has no such topic.
            KafkaUnusable: A setting is wrong.
        """
        self._reader = Reader(self.service, self._settings)
        partitions = self._reader.first_partitions()
        if not partitions:
            raise ServiceFailed(self.name, self.service, "", "there is no such topic: look at kafka_topic")
        stored = dict(position or {})
        self._topic_id = stored.pop(_TOPIC_ID, None)
        self._next = {number: stored[str(number)] for number in partitions if str(number) in stored}
        try:
            self._take_on(partitions)
        except self._library.KafkaException as failure:
            reason = self._reader.trouble or failure.args[0].str()
            raise ServiceUnreachable(self.name, self.service, "", reason) from failure

    def _take_on(self, partitions: Iterable[int]) -> None:
        """Take on partitions that are not read yet, each where it is to be gone on, as far as it is still there."""
        assert self._reader is not None
        topic_id = self._reader.topic_id()
        is_anew = topic_id is not None and self._topic_id not in (None, topic_id)
        # All that may fail is asked before anything is changed.
        logs = {number: self._reader.log_of(number) for number in partitions if is_anew or number not in self._ends}
        if is_anew:
            if not logs:
                return  # It is being made: what it has is not known yet.
            reason = "the topic was deleted and made anew: what was not read of the old one is lost"
            self._gaps.append(Gap(None, None, reason, None, None))
            self._next, self._ends = {}, {}
        self._topic_id = topic_id or self._topic_id
        for number, (oldest, end) in logs.items():
            begin = self._next.get(number, oldest)
            if not oldest <= begin <= end:
                self._gaps.append(_gap(number, begin, oldest, end))
                begin = oldest
            self._next[number], self._ends[number] = begin, end
        if logs:
            self._reader.assign(self._next)
        self._looked_at = time.monotonic()

    def _look_again(self) -> None:
        """Look for new partitions. A broker that does not answer now is asked again later."""
        assert self._reader is not None
        self._looked_at = time.monotonic()
        with suppress(self._library.KafkaException):
            self._take_on(self._reader.partitions())

    def take(self, limit: int) -> Delivery:
        """Hand over messages.

        Raises:
            NetworkError: The broker refuses, for good.
        """
        assert self._reader is not None
        if time.monotonic() - self._looked_at > NEW_PARTITIONS_SECONDS:
            self._look_again()
        gaps, self._gaps = self._gaps, []
        events: list[RepoEvent] = []
        has_moved = bool(gaps)
        for message in self._reader.consumer.consume(limit, POLL_SECONDS):
            has_moved |= self._advance(message)
            if message.error() is None and (event := self._event(message)):
                events.append(event)
        return Delivery(events, gaps, self._position() if has_moved else None)

    def _position(self) -> Position:
        offsets: Position = {str(number): offset for number, offset in self._next.items()}
        return offsets | ({_TOPIC_ID: self._topic_id} if self._topic_id else {})

    def _advance(self, message: Message) -> bool:
        error = message.error()
        number, offset = message.partition(), message.offset()
        if error is not None and error.code() == self._library.KafkaError._AUTO_OFFSET_RESET and number is not None:
            # What comes next was deleted meanwhile: the partition is taken on anew.
            self._ends.pop(number, None)
            self._looked_at = -NEW_PARTITIONS_SECONDS
            return False
        if error is not None and error.code() != self._library.KafkaError._PARTITION_EOF:
            raise ServiceFailed(self.name, self.service, "", error.str())
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
        return all(number in self._ends and offset >= self._ends[number] for number, offset in self._next.items())

    @property
    def condition(self) -> str:
        """How far the partitions are read, and what keeps the broker from answering."""
        behind = sum(max(0, end - self._next[number]) for number, end in self._ends.items())
        told = f"{len(self._next)} partitions, {behind:,} messages of the start left"
        return f"{told}, {self._reader.trouble}" if self._reader and self._reader.trouble else told

    def stop(self) -> None:
        """Leave the broker."""
        if self._reader is not None:
            self._reader.consumer.close()


def _gap(partition: int, wanted: int, oldest: int, end: int) -> Gap:
    if wanted < oldest:
        what = f"the messages from offset {wanted} to {oldest - 1} were deleted before they were read"
    else:
        what = f"it ends at offset {end}, and was read to {wanted}: the topic is not the one of then"
    return Gap(None, None, f"partition {partition}: {what}", wanted - 1 if wanted else None, oldest)
