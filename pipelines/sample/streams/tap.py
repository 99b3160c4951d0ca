"""The sample world's Tap: pushes events to a webhook as Bluesky's does.

One event a POST, any 2xx is its acknowledgement, everything else is tried again for ever; live events of one account
wait for each other, historical ones are sent all at once (https://github.com/bluesky-social/indigo/tree/main/cmd/tap).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from pipelines.sample.world.truth import ACTIVE, AccountEvent, IdentityEvent, RecordEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipelines.sample.streams.events import StreamEvent

_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0, 10.0)
_TIMEOUT: Final = 30.0


class SampleTap:
    """Pushes events.

    Args:
        url: The webhook.
        password: What it is told for its user `admin`.
        write: How an event is written: Tap's form if not given.
        hurry: By how much the waits between attempts are shortened.
        connections: How many may be open at once.

    Attributes:
        acknowledged: Numbers of the events that were acknowledged.
        retries: Attempts beyond the first.
    """

    def __init__(
        self,
        url: str,
        password: str,
        *,
        write: Callable[[StreamEvent], bytes] | None = None,
        hurry: float = 1.0,
        connections: int = 64,
    ) -> None:
        self.acknowledged: list[int] = []
        self.retries = 0
        self._url = url
        self._headers = {
            "Authorization": aiohttp.encode_basic_auth("admin", password),
            "Content-Type": "application/json",
        }
        self._write = write or TapForm()
        self._hurry = hurry
        self._connections = connections

    def push(self, events: Iterable[StreamEvent], *, historical: bool = False) -> None:
        """Send events, and wait until all are acknowledged."""
        asyncio.run(self._push([(event, self._write(event)) for event in events], historical=historical))

    async def _push(self, bodies: list[tuple[StreamEvent, bytes]], *, historical: bool) -> None:
        queues: defaultdict[str, list[tuple[StreamEvent, bytes]]] = defaultdict(list)
        for event, body in bodies:
            queues[str(event.seq) if historical else event.did].append((event, body))
        connector = aiohttp.TCPConnector(limit=self._connections)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_TIMEOUT)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers) as session:
            await asyncio.gather(*(self._send_in_order(session, queue) for queue in queues.values()))

    async def _send_in_order(self, session: aiohttp.ClientSession, queue: list[tuple[StreamEvent, bytes]]) -> None:
        for event, body in queue:
            attempt = 0
            while not await self._is_acknowledged(session, body):
                await asyncio.sleep(_BACKOFF[min(attempt, len(_BACKOFF) - 1)] / self._hurry)
                attempt += 1
                self.retries += 1
            self.acknowledged.append(event.seq)

    async def _is_acknowledged(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        try:
            async with session.post(self._url, data=body) as answer:
                return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


class TapForm:
    """Writes events as Tap does: of a new handle or a new status it tells both, and no time."""

    def __init__(self) -> None:
        self._handles: dict[str, str] = {}
        self._statuses: dict[str, str] = {}

    def __call__(self, event: StreamEvent) -> bytes:
        """Write an event; they must come in their order."""
        match event.event:
            case RecordEvent():
                return event.tap_record
            case IdentityEvent(did=did, handle=handle):
                self._handles[did] = handle
            case AccountEvent(did=did, status=status):
                self._statuses[did] = status
        did = event.did
        return event.tap_identity(self._handles.get(did, ""), self._statuses.get(did, ACTIVE))
