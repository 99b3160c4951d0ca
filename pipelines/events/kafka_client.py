"""Clients of a Kafka broker: what keeps them from it is remembered, and told in one line.

Connection settings are librdkafka's (https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).
"""

from __future__ import annotations

import importlib
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pipelines.network.errors import ServiceFailed, ServiceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import Consumer, KafkaError

ANSWER_SECONDS: Final = (2.0, 4.0, 8.0)
"""How long the broker may take to answer, at each attempt."""

POLL_SECONDS: Final = 0.1


class KafkaUnusable(Exception):  # noqa: N818 (it is a state, not a mistake)
    """Kafka cannot be used as it is set up here. The message says why and what to do, in one line."""


def library() -> Any:
    """Give the client library's module: it comes with the extra `kafka` alone.

    Raises:
        KafkaUnusable: It is not installed.
    """
    try:
        return importlib.import_module("confluent_kafka")
    except ImportError as error:
        raise KafkaUnusable(
            "Kafka needs its client library: uv run --extra kafka python pipelines/live.py kafka"
        ) from error


class Client:
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
        self._library = library()
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


class Reader(Client):
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

    def partitions(self, timeout: float | None = None) -> list[int]:
        """Find the topic's partitions, whatever is assigned; none if the broker has no such topic.

        Args:
            timeout: Seconds that the broker may take to answer; the first of `ANSWER_SECONDS` if not given.

        Raises:
            KafkaException: It is not known.
        """
        topic = self.consumer.list_topics(self._topic, timeout=timeout or ANSWER_SECONDS[0]).topics[self._topic]
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
