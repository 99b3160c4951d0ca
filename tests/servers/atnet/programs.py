"""Bluesky's programs that stand between a PDS and a reader: a relay, Jetstream (version 1) and Tap."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Final, Self

import pytest

from tests.live.conftest import wait_until
from tests.servers.conftest import free_ports

Json = dict[str, Any]

_PROGRAMS: Final = Path(__file__).parent / "bin"


class Program:
    """A program on a port of its own, which goes on where it was when it is started again.

    Args:
        name: The program's; skips the test where it is not built.
        folder: What it stores, and its log.
        arguments: Its command line.
        settings: Its environment, with `{port}`, `{metrics_port}` and `{folder}` put in.
    """

    def __init__(self, name: str, folder: Path, *arguments: str, **settings: str) -> None:
        program = _PROGRAMS / name
        if not program.exists():
            pytest.skip(f"no {name}: it is not built (tests/servers/setup.sh)")
        self._command = [str(program), *arguments]
        self.port, metrics_port = free_ports(2)
        ports = {"port": self.port, "metrics_port": metrics_port, "folder": folder}
        self._environment = os.environ | {name: value.format(**ports) for name, value in settings.items()}
        self._log = folder / f"{name}.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._log.parent, stdout=log, stderr=log
            )
        wait_until(lambda: self._process.poll() is not None or self._answers())
        assert self._process.poll() is None, self._log.read_text()[-3_000:]

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def jetstream_of(atnet: Json, folder: Path, *, cursor: int = -1) -> Program:
    """Make a Jetstream of what the PDS has after a number of its stream; of what comes from now on, if -1."""
    upstream = atnet["pds"].replace("http", "ws", 1)
    return Program(
        "jetstream",
        folder,
        JETSTREAM_WS_URL=f"{upstream}/xrpc/com.atproto.sync.subscribeRepos",
        JETSTREAM_OVERRIDE_RELAY_CURSOR=str(cursor),
        JETSTREAM_LISTEN_ADDR="127.0.0.1:{port}",
        JETSTREAM_METRICS_LISTEN_ADDR="127.0.0.1:{metrics_port}",
        JETSTREAM_DATA_DIR="{folder}/jetstream",
        JETSTREAM_LIVENESS_TTL="1h",  # It ends itself if the PDS is quiet for so long.
    )


def tap_of(atnet: Json, folder: Path, *, webhook: str, password: str) -> Program:
    """Make a Tap that pushes to a webhook."""
    return Program(
        "tap",
        folder,
        "run",
        TAP_BIND="127.0.0.1:{port}",
        TAP_DATABASE_URL="sqlite://{folder}/tap.sqlite",
        TAP_PLC_URL=atnet["plc"],
        TAP_RELAY_URL=atnet["pds"],
        TAP_WEBHOOK_URL=webhook,
        TAP_ADMIN_PASSWORD=password,
    )


def relay_of(atnet: Json, folder: Path) -> Program:
    """Make a relay that crawls the PDS, from when it is started."""
    relay = Program(
        "relay",
        folder,
        "serve",
        DATABASE_URL="sqlite://{folder}/relay.sqlite",
        RELAY_PERSIST_DIR="{folder}/relay",
        RELAY_API_BIND="127.0.0.1:{port}",
        RELAY_METRICS_LISTEN="127.0.0.1:{metrics_port}",
        RELAY_PLC_HOST=atnet["plc"],
    )
    with relay:
        pass
    # It accepts no host on localhost from anybody, but goes on with one that it knows.
    with sqlite3.connect(folder / "relay.sqlite") as database:
        database.execute(
            "insert into host (hostname, no_ssl, account_limit, trusted, last_seq) values (?, 1, 1000, 1, 0)",
            [atnet["pds"].removeprefix("http://")],
        )
    return relay
