from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipelines.sample.appview.server import SampleServer


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=5) as pool:
        yield pool


@pytest.fixture
def ask(http: urllib3.PoolManager) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Ask an XRPC method for status and body; a list as a parameter is repeated."""

    def asking(server: SampleServer, nsid: str, **params: Any) -> tuple[int, dict[str, Any]]:
        pairs = [
            (name, str(one))
            for name, value in params.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        response = http.request("GET", f"{server.url}/xrpc/{nsid}", fields=pairs)
        return response.status, msgspec.json.decode(response.data)

    return asking
