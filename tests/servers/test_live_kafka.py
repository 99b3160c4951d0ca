"""The live job on Apache Kafka's own broker: read to its end, killed, restarted, and nothing lost or read twice."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]

from pipelines.events import kafka, kafka_client
from pipelines.events.kafka import Kafka
from pipelines.events.kafka_client import Reader
from pipelines.live import main
from pipelines.sample.streams.jetstream import SampleJetstream
from tests.live.conftest import key_of, wait_until
from tests.live.job import kill, start_job
from tests.servers.kafka.broker import PASSWORD, Broker, require_broker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pipelines.events.repo_event import Delivery
    from pipelines.sample.streams.events import StreamEvent
    from tests.live.conftest import LiveLake

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
WRONG_PASSWORD = "battery staple"
KILLS = int(os.environ.get("LIVE_KILLS", "4"))
"""Kills of each job: `LIVE_KILLS=50` for a thorough run."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    require_broker()
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.kill()


class Topic:
    """A topic of a test's own."""

    def __init__(self, broker: Broker, *, partitions: int) -> None:
        self.name = f"events-{uuid4().hex[:8]}"
        self.settings = broker.settings
        self._admin = AdminClient(broker.settings)
        self._make(partitions)

    def _make(self, partitions: int) -> None:
        for created in self._admin.create_topics([NewTopic(self.name, partitions, 1)]).values():
            created.result()
        # The broker that answers may not know of it yet.
        wait_until(lambda: self.name in self._admin.list_topics(timeout=10).topics)

    def make_anew(self, partitions: int) -> None:
        """Delete it, with all of its messages, and make another one of its name."""
        for deleted in self._admin.delete_topics([self.name]).values():
            deleted.result()
        wait_until(lambda: self.name not in self._admin.list_topics(timeout=10).topics)
        self._make(partitions)

    def feed(self, **settings: Any) -> Kafka:
        return Kafka(self.name, self.settings | settings)

    def fill(self, events: Iterable[StreamEvent], **settings: Any) -> None:
        """Send events, those of one account in order."""
        producer = Producer(self.settings | settings)
        for event in events:
            producer.produce(self.name, event.jetstream_v2_payload, key=event.did)
            producer.poll(0)
        assert producer.flush(30) == 0

    def grow(self, partitions: int) -> None:
        for grown in self._admin.create_partitions([NewPartitions(self.name, partitions)]).values():
            grown.result()
        wait_until(lambda: len(self._admin.list_topics(timeout=10).topics[self.name].partitions) == partitions)

    def forget(self, upto: dict[int, int]) -> None:
        """Delete the messages before an offset of each partition, as retention does."""
        partitions = [TopicPartition(self.name, number, offset) for number, offset in upto.items()]
        for forgotten in self._admin.delete_records(partitions).values():
            forgotten.result()

    def ends(self) -> dict[int, int]:
        reader = Consumer({**self.settings, "group.id": "test"})
        try:
            return {
                number: reader.get_watermark_offsets(TopicPartition(self.name, number), timeout=10)[1]
                for number in self._admin.list_topics(timeout=10).topics[self.name].partitions
            }
        finally:
            reader.close()


def assert_each_once(live: LiveLake, events: Sequence[StreamEvent]) -> None:
    """The lake has a row for each of the events, and no other."""
    assert live.folded().keys() == {key_of(event) for event in events}
    assert len(live.rows()) == len(events)


def settings_of(topic: str, settings: dict[str, Any]) -> dict[str, str]:
    names = {"kafka_topic": topic, "kafka_settings": json.dumps(settings), "collections": '["app.bsky.*"]'}
    return {f"SOURCES__REPO_EVENTS__{name.upper()}": value for name, value in names.items()}


def test_a_run_reads_to_the_end_and_the_next_one_exactly_the_rest(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent]
) -> None:
    topic = Topic(broker, partitions=3)
    parts = [world_events[number :: len(CODECS)] for number in range(len(CODECS))]
    for codec, part in zip(CODECS[:3], parts, strict=False):
        topic.fill(part, **{"compression.type": codec, "linger.ms": 50})
    live.run(topic.feed())
    assert_each_once(live, [event for part in parts[:3] for event in part])

    topic.grow(5)
    for codec, part in zip(CODECS[3:], parts[3:], strict=True):
        topic.fill(part, **{"compression.type": codec, "linger.ms": 50})
    grown = live.run(topic.feed())
    assert grown.run.event_count == sum(map(len, parts[3:]))
    assert_each_once(live, world_events)
    assert grown.run.position is not None
    assert grown.run.position.pop("topic_id")
    assert grown.run.position == {str(number): end for number, end in topic.ends().items()}
    assert all(end for end in topic.ends().values()), "the new partitions have messages"
    assert live.run(topic.feed()).run.event_count == 0
    assert live.gaps() == []


def test_transactions_are_read_when_they_are_committed_and_never_when_they_are_aborted(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent]
) -> None:
    topic = Topic(broker, partitions=2)
    committed, aborted, late = world_events[:600], world_events[600:900], world_events[900:1_000]
    producer = Producer({**broker.settings, "transactional.id": topic.name, "log_level": 0})
    producer.init_transactions(30)

    def send(events: list[StreamEvent]) -> None:
        producer.begin_transaction()
        for event in events:
            producer.produce(topic.name, event.jetstream_v2_payload, key=event.did)
        producer.flush()

    for begin in range(0, 600, 200):
        send(committed[begin : begin + 200])
        producer.commit_transaction()
        send(aborted[begin // 2 : begin // 2 + 100])
        producer.abort_transaction()
    send(late)
    # It is still open: the run ends all the same, before it.
    live.run(topic.feed())
    assert_each_once(live, committed)
    producer.commit_transaction()
    live.run(topic.feed())
    assert_each_once(live, committed + late)
    # The marks that end transactions take offsets too, and no gap is seen in them.
    assert sum(topic.ends().values()) > 1_000
    assert live.gaps() == []


def test_killed_at_any_moment(broker: Broker, live: LiveLake, world_events: list[StreamEvent], tmp_path: Path) -> None:
    topic = Topic(broker, partitions=3)
    dice = random.Random(20_260_302)
    settings = os.environ | settings_of(topic.name, broker.settings)
    batches = ["--batch-events", "300", "--batch-seconds", "0.2"]
    events = world_events[-4_000:]
    share = len(events) // (KILLS + 1)
    for number in range(KILLS):
        topic.fill(events[number * share : (number + 1) * share])
        job = start_job(["kafka", "--follow", *batches], settings, tmp_path / "log")
        kill(job, after=dice.uniform(0.2, 2.5))
    topic.fill(events[KILLS * share :])
    job = start_job(["kafka", *batches], settings, tmp_path / "log")
    job.join(120)
    assert job.exitcode == 0, (tmp_path / "log").read_text()
    assert live.folded().keys() == {key_of(event) for event in events}
    assert live.gaps() == []


def test_the_broker_dies_and_comes_back_while_it_is_followed(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "NEW_PARTITIONS_SECONDS", 0.5)
    monkeypatch.setattr(kafka_client, "ANSWER_SECONDS", (0.5,))
    topic = Topic(broker, partitions=2)
    events = world_events[:900]
    topic.fill(events[:300])
    feed = topic.feed(**{"reconnect.backoff.max.ms": 500})
    with live.running(feed) as batches:
        wait_until(lambda: batches.run.loaded_count == 300)
        broker.kill()
        wait_until(lambda: "Connection refused" in feed.condition)
        time.sleep(2)  # Meanwhile it looks for new partitions, and finds nobody.
        broker.start()
        topic.fill(events[300:600])
        wait_until(lambda: batches.run.loaded_count == 600)
        topic.grow(3)
        topic.fill(events[600:])
        wait_until(lambda: batches.run.loaded_count == 900)
        assert "refused" not in feed.condition
    assert_each_once(live, events)
    assert live.gaps() == []


def test_a_broker_that_answers_before_it_leads_its_partitions_is_asked_again(broker: Broker) -> None:
    topic = Topic(broker, partitions=100)
    broker.kill()
    reader = Reader(topic.name, broker.settings | {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 10})
    partitions: list[int] = []

    def has_answered() -> bool:
        with suppress(KafkaException):
            partitions[:] = reader.partitions(1)
        return bool(partitions)

    with ThreadPoolExecutor() as background:
        started = background.submit(broker.start)
        wait_until(has_answered)
        assert [reader.log_of(number) for number in partitions] == [(0, 0)] * 100
        started.result()
    reader.consumer.close()


def test_messages_that_were_deleted_before_they_were_read_are_a_gap_that_is_named_once(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent], tmp_path: Path
) -> None:
    topic = Topic(broker, partitions=1)
    topic.fill(world_events[:100])
    live.run(topic.feed())
    topic.fill(world_events[100:300])
    topic.forget({0: 180})
    settings = os.environ | settings_of(topic.name, broker.settings)
    for exit_code in (2, 0):
        job = start_job(["kafka"], settings, tmp_path / "log")
        job.join(60)
        assert job.exitcode == exit_code
    assert "partition 0" in (tmp_path / "log").read_text()
    assert_each_once(live, world_events[:100] + world_events[180:300])
    assert [(gap["position_before"], gap["position_after"]) for gap in live.gaps()] == [(99, 180)]
    # All of them, and nothing comes after: that too is said once.
    topic.fill(world_events[300:400])
    topic.forget({0: 400})
    assert len(live.run(topic.feed()).run.gaps) == 1
    assert live.run(topic.feed()).run.gaps == []
    assert [gap["position_after"] for gap in live.gaps()] == [180, 400]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning_whatever_its_offsets(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "NEW_PARTITIONS_SECONDS", 0.5)
    topic = Topic(broker, partitions=1)
    topic.fill(world_events[:100])
    live.run(topic.feed())
    topic.make_anew(partitions=1)
    topic.fill(world_events[100:400])
    assert len(live.run(topic.feed()).run.gaps) == 1
    assert_each_once(live, world_events[:400])

    with live.running(topic.feed()) as batches:
        topic.fill(world_events[:1])
        wait_until(lambda: batches.run.loaded_count == 1)
        topic.make_anew(partitions=2)
        topic.fill(world_events[400:1_400])
        wait_until(lambda: live.folded().keys() == {key_of(event) for event in world_events[:1_400]})
    assert ["made anew" in gap["reason"] for gap in live.gaps()] == [True, True]
    assert live.run(topic.feed()).run.gaps == []


def test_messages_that_are_deleted_while_they_are_read_are_a_gap_too(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent]
) -> None:
    topic = Topic(broker, partitions=1)
    events = world_events[:3_000]
    for begin in range(0, 3_000, 50):
        topic.fill(events[begin : begin + 50])
    # A reader that fetches little ahead.
    feed = topic.feed(**{"queued.min.messages": 1, "queued.max.messages.kbytes": 64, "fetch.message.max.bytes": 20_000})
    feed.start(None)
    deliveries: list[Delivery] = []
    while not any(delivery.events for delivery in deliveries):
        deliveries.append(feed.take(10))
    topic.forget({0: 2_900})

    def is_over() -> bool:
        deliveries.append(feed.take(50))
        return feed.is_caught_up

    wait_until(is_over)
    feed.stop()
    (gap,) = [gap for delivery in deliveries for gap in delivery.gaps]
    assert gap.position_before is not None
    assert gap.position_before < 2_800
    read = [event.position for delivery in deliveries for event in delivery.events]
    assert read == [*range(gap.position_before + 1), *range(2_900, 3_000)]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sasl.password": WRONG_PASSWORD}, "Authentication failed"),
        ({"bootstrap.servers": "127.0.0.1:1"}, "127.0.0.1:1"),
        ({"nonsense": "1"}, "nonsense"),
        ({}, "no-such-topic"),
    ],
)
def test_what_keeps_it_from_reading_is_said_in_one_line(
    settings: dict[str, str],
    reason: str,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(kafka_client, "ANSWER_SECONDS", (0.5, 1.0))
    for name, value in settings_of("no-such-topic", broker.guarded | settings).items():
        monkeypatch.setenv(name, value)
    assert main(["kafka"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1, told
    assert reason in told
    assert PASSWORD not in told
    assert WRONG_PASSWORD not in told


def test_a_password_opens_the_guarded_door(broker: Broker, live: LiveLake, world_events: list[StreamEvent]) -> None:
    topic = Topic(broker, partitions=1)
    topic.fill(world_events[:50])
    live.run(topic.feed(**broker.guarded))
    assert_each_once(live, world_events[:50])


def test_a_bridge_that_is_killed_fills_a_topic_with_every_event(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent], tmp_path: Path
) -> None:
    topic = Topic(broker, partitions=3)
    dice = random.Random(20_260_303)
    events = world_events[-4_000:]
    share = len(events) // (KILLS + 1)
    with SampleJetstream(events[:1]) as server:
        settings = os.environ | settings_of(topic.name, broker.settings)
        settings["SOURCES__REPO_EVENTS__JETSTREAM_SERVICE"] = server.url
        first = start_job(["kafka", "--produce", "--all", "--follow"], settings, tmp_path / "log")
        # Before the topic has a first message, there is nothing that could be gone on from.
        wait_until(lambda: bool(server.connections))
        time.sleep(0.3)
        server.log.extend(events[1:share])
        wait_until(lambda: any(topic.ends().values()))
        kill(first)
        for number in range(1, KILLS + 1):
            server.log.extend(events[number * share : (number + 1) * share])
            job = start_job(["kafka", "--produce", "--all", "--follow"], settings, tmp_path / "log")
            kill(job, after=dice.uniform(0.2, 1.5))
        server.log.extend(events[len(server.log) :])
        last = start_job(["kafka", "--produce", "--all"], settings, tmp_path / "log")
        last.join(60)
        assert last.exitcode == 0, (tmp_path / "log").read_text()
    live.run(topic.feed())
    assert live.folded().keys() == {key_of(event) for event in events[1:]}
    assert not any(row["kind"] == "unreadable" for row in live.rows())


def test_a_bridge_to_a_broker_that_died_stops_when_it_is_told_to_and_sends_the_rest_the_next_time(
    broker: Broker, live: LiveLake, world_events: list[StreamEvent], tmp_path: Path
) -> None:
    topic = Topic(broker, partitions=3)
    events = world_events[-900:]
    command = ["kafka", "--produce", "--all"]
    with SampleJetstream(events[:1]) as server:
        settings = os.environ | settings_of(topic.name, broker.settings)
        settings["SOURCES__REPO_EVENTS__JETSTREAM_SERVICE"] = server.url
        job = start_job([*command, "--follow"], settings, tmp_path / "log")
        wait_until(lambda: bool(server.connections))
        time.sleep(0.3)
        server.log.extend(events[1:300])
        wait_until(lambda: sum(topic.ends().values()) == 299)
        broker.kill()
        server.log.extend(events[300:600])
        wait_until(lambda: server.sent == 599)
        assert job.pid is not None
        os.kill(job.pid, signal.SIGTERM)
        job.join(20)
        broker.start()
        assert job.exitcode == 1
        assert (tmp_path / "log").read_text().count("\n") == 1
        assert "the next run sends them again" in (tmp_path / "log").read_text()
        server.log.extend(events[600:])
        job = start_job(command, settings, tmp_path / "log")
        job.join(60)
        assert job.exitcode == 0, (tmp_path / "log").read_text()
    live.run(topic.feed())
    assert live.folded().keys() == {key_of(event) for event in events[1:]}
