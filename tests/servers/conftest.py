"""Servers that need more than Python packages. Each is started from outside and named by an environment variable."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def atnet() -> dict[str, Any]:
    """A network of Bluesky's own servers: `tests/servers/atnet/up.sh` starts it and prints the file to name."""
    info = os.environ.get("ATNET_INFO")
    if not info:
        pytest.skip("no network is running: ATNET_INFO is not set (tests/servers/atnet/up.sh)")
    network: dict[str, Any] = json.loads(Path(info).read_text())
    return network
