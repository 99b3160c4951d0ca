"""Apache Kafka's broker on localhost: one node of its own, in KRaft mode, whose log survives `kill -9`."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.servers.conftest import free_ports

JARS: Final = Path(__file__).parent / "jars"
USER: Final = "lake"
PASSWORD: Final = "correct horse"
_START_SECONDS: Final = 60.0
_CLASS: Final = "org.apache.kafka.common.security.plain.PlainLoginModule"


class Broker:
    """A broker with two doors: one is open, one asks for a name and a password (SASL/PLAIN).

    Args:
        folder: Where its log is.

    Attributes:
        settings: librdkafka's, for the open door.
        guarded: The same for the other one.
    """

    def __init__(self, folder: Path) -> None:
        open_port, guarded_port, controller_port = free_ports(3)
        self.settings: dict[str, Any] = {"bootstrap.servers": f"127.0.0.1:{open_port}"}
        self.guarded: dict[str, Any] = {
            "bootstrap.servers": f"127.0.0.1:{guarded_port}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": USER,
            "sasl.password": PASSWORD,
        }
        self._log = folder / "broker.log"
        self._properties = folder / "server.properties"
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{open_port},SASL_PLAINTEXT://127.0.0.1:{guarded_port}"
            f",CONTROLLER://127.0.0.1:{controller_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{_CLASS} required user_{USER}="{PASSWORD}";',
            "log.dirs": folder / "log",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            # One that was killed is taken back when its time is up.
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 2_000,
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formatting = ["format", f"--cluster-id={identity}", f"--config={self._properties}"]
        assert self._java("kafka.tools.StorageTool", *formatting).wait() == 0, self._log.read_text()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self._java("kafka.Kafka", str(self._properties))
        ends_at = time.monotonic() + _START_SECONDS
        while True:
            try:
                AdminClient({**self.settings, "log_level": 0}).list_topics(timeout=1)
                return
            except KafkaException:
                is_over = self._process.poll() is not None or time.monotonic() > ends_at
                assert not is_over, self._log.read_text()[-3_000:]

    def kill(self) -> None:
        """End it at once, as if the power had gone."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        # Short-lived: a compiler that is quick to start, and little memory.
        options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m"]
        with self._log.open("a") as log:
            return subprocess.Popen(["java", *options, "-cp", f"{JARS}/*", *arguments], stdout=log, stderr=log)


def require_broker() -> None:
    """Skip where there is no broker to start."""
    if not shutil.which("java") or not JARS.is_dir():
        pytest.skip("no Kafka broker: java and its jars are missing (tests/servers/setup.sh)")
