"""A Kafka topic of repository events: polled by assignment from offsets of our own, and filled from a stream.

The consumer group's offsets are not used: they move on their own, and a batch that was lost would not come again.
Offsets mean nothing in a topic that was deleted and made anew. It is recognised by its id, which brokers tell since
Kafka 2.8 (KIP-516); where one does not (librdkafka's mock of a cluster is one), only by ending before what was read.
Connection settings are librdkafka's (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).
"""

from __future__ import annotations

import importlib
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.events.repo_event import (
    Delivery,
    Gap,
    Position,
    RepoEvent,
    read_json_event,
    unreadable,
    write_json_event,
)
from pipelines.network.errors import ServiceFailed, ServiceUnreachable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from confluent_kafka import Consumer, KafkaError, Message, Producer

    from pipelines.events.stream import Stream

ANSWER_SECONDS: Final = (2.0, 4.0, 8.0)
"""How long the broker may take to answer, at each attempt."""

POLL_SECONDS: Final = 0.1
NEW_PARTITIONS_SECONDS: Final = 60.0
LAST_SECONDS: Final = 5.0
"""How long a broker that takes nothing is waited for when a bridge is told to stop."""

_SENT_AT_ONCE: Final = 5_000
_TOPIC_ID: Final = "topic_id"
_POSITION_HEADER: Final = "position"


class KafkaUnusable(Exception):  # noqa: N818 (it is a state, not a mistake)
    """Kafka cannot be used as it is set up here. The message says why and what to do, in one line."""


def _library() -> Any:
    try:
        return importlib.import_module("confluent_kafka")
    except ImportError as error:
        raise KafkaUnusable(
            "Kafka needs its client library: uv run --extra kafka python pipelines/live.py kafka"
        ) from error


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


class _Client:
    """A client of one topic that remembers what keeps it from the broker.

    Args:
        topic: Its name.
        settings: librdkafka's, `bootstrap.servers` at least.

    Attributes:
        trouble: What was last wrong with the connection.
    """

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        self.trouble: str | None = None
        self._topic, self._settings = topic, {"log_level": 0, **settings}
        self._library = _library()
        self._is_refused = False

    def _connect(self, kind: Callable[[dict[str, Any]], Any], ours: Mapping[str, Any]) -> Any:
        """Make the library's consumer or producer. It connects by itself, now or whenever it can.

        Raises:
            KafkaUnusable: librdkafka does not know a setting, or not that value.
        """
        try:
            return kind({**ours, "error_cb": self._remember, **self._settings})
        except self._library.KafkaException as error:
            raise KafkaUnusable(f"kafka_settings: {error.args[0].str()}") from error

    def _remember(self, error: KafkaError) -> None:
        # That all brokers are down says less than what is wrong with one of them, which comes first.
        if error.code() != self._library.KafkaError._ALL_BROKERS_DOWN:
            self.trouble = error.str()
            self._is_refused = error.code() == self._library.KafkaError._AUTHENTICATION


class Reader(_Client):
    """A consumer of one topic that decides nothing by itself.

    Attributes:
        consumer: The library's.

    Raises:
        KafkaUnusable: A setting is wrong.
    """

    def __init__(self, topic: str, settings: Mapping[str, Any]) -> None:
        super().__init__(topic, settings)
        ours = {
            "group.id": "bluesky-lake",  # The library wants one; nothing is committed to it.
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
        }
        self.consumer: Consumer = self._connect(self._library.Consumer, ours)

    def first_partitions(self) -> list[int]:
        """Find the topic's partitions, before any is assigned; none if the broker has no such topic.

        Raises:
            NetworkError: The broker cannot be reached, or refuses.
        """
        for timeout in ANSWER_SECONDS:
            try:
                return self.partitions(timeout)
            except self._library.KafkaException as failure:
                self.consumer.poll(0)  # Hands over what is wrong. There is no message yet that it could take away.
                reason = self.trouble or failure.args[0].str()
                if self._is_refused:
                    reason += ": look at kafka_settings in .dlt/secrets.toml"
                    raise ServiceFailed("kafka", self._topic, "", reason) from failure
        raise ServiceUnreachable("kafka", self._topic, "", reason)

    def partitions(self, timeout: float) -> list[int]:
        """Find the topic's partitions, whatever is assigned; none if the broker has no such topic.

        Raises:
            KafkaException: It is not known.
        """
        topic = self.consumer.list_topics(self._topic, timeout=timeout).topics[self._topic]
        unknown = (self._library.KafkaError.UNKNOWN_TOPIC_OR_PART, self._library.KafkaError._UNKNOWN_TOPIC)
        if topic.error is not None and topic.error.code() not in unknown:
            raise self._library.KafkaException(topic.error)
        self.trouble = None
        return sorted(topic.partitions)

    def topic_id(self) -> str | None:
        """Tell a topic from another one of the same name; None where the broker does not say, or not now."""
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 (the library may be missing)

        with suppress(self._library.KafkaException):
            metadata = self.consumer.list_topics(self._topic, timeout=ANSWER_SECONDS[0])
            if metadata.controller_id not in metadata.brokers:
                return None  # It is the one who is asked: the mock has none.
            admin = AdminClient(self._settings)
            topics = self._library.TopicCollection([self._topic])
            told = admin.describe_topics(topics, request_timeout=ANSWER_SECONDS[0])[self._topic].result().topic_id
            if told.get_most_significant_bits() or told.get_least_significant_bits():
                return str(told)
        return None

    def log_of(self, partition: int) -> tuple[int, int]:
        """Find the offsets of a partition's oldest message, and of the one that comes next.

        A broker that has just started answers before it leads its partitions: it is asked again.

        Raises:
            KafkaException: It is not known.
        """
        topic_partition = self._library.TopicPartition(self._topic, partition)
        ends_at = time.monotonic() + ANSWER_SECONDS[-1]
        while True:
            try:
                oldest, end = self.consumer.get_watermark_offsets(topic_partition, timeout=ANSWER_SECONDS[-1])
            except self._library.KafkaException:
                if time.monotonic() >= ends_at:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return oldest, end

    def assign(self, offsets: Mapping[int, int]) -> None:
        """Read partitions from offsets on, and no others."""
        self.consumer.assign([self._library.TopicPartition(self._topic, *each) for each in offsets.items()])


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
            self._take_on(self._reader.partitions(ANSWER_SECONDS[0]))

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


class Bridge(_Client):
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
    return {"cursor": event.position - 1, "event_at": event.event_at and event.event_at.isoformat()}
