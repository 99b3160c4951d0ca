from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.network.appview import AppView
from pipelines.network.pacing import Pacer
from tests.network.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def appview(server: ScriptedServer) -> AppView:
    return AppView(server.url, Pacer(1_000), backoff=0.001, timeout=5)
