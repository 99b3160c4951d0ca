"""Who gets in at a webhook: so many connections at a time, and so many of one address."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_COME_BACK: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True)
class DoorLimits:
    """What anybody may use up who can reach a webhook, with the password or without.

    Attributes:
        connections: Open at a time: half of the file descriptors that a process mostly has.
        connections_of_one: Open at a time from one address. A proxy in front is one, too.
        idle_seconds: How long a connection may take to its first request's last header, and from one request to the
            next.
    """

    connections: int = 512
    connections_of_one: int = 256
    idle_seconds: float = 30.0


class Door:
    """Makes the protocols of a server, and tells whoever is too many to come back.

    Args:
        make_protocol: Makes one that serves a connection.
        limits: How many may be open.

    Attributes:
        turned_away: Connections that were too many.
    """

    def __init__(self, make_protocol: Callable[[], asyncio.Protocol], limits: DoorLimits) -> None:
        self.turned_away = 0
        self._make_protocol = make_protocol
        self._limits = limits
        self._open: Counter[str] = Counter()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of a connection that has just come."""
        return _Connection(self)

    def admit(self, address: str) -> asyncio.Protocol | None:
        """Let a connection in, unless it is one too many."""
        is_full = self._open.total() >= self._limits.connections
        if is_full or self._open[address] >= self._limits.connections_of_one:
            self.turned_away += 1
            return None
        self._open[address] += 1
        return self._make_protocol()

    def leave(self, address: str) -> None:
        """Forget a connection that was let in."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class _Connection(asyncio.Protocol):
    """Hands all that happens on a connection to the protocol that serves it."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._address = ""
        self._served: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._address = _address_of(transport)
        self._served = self._door.admit(self._address)
        if self._served:
            self._served.connection_made(transport)
        else:
            cast("asyncio.Transport", transport).write(_COME_BACK)
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self._served:
            self._served.data_received(data)

    def eof_received(self) -> bool | None:
        return self._served.eof_received() if self._served else None

    def pause_writing(self) -> None:
        if self._served:
            self._served.pause_writing()

    def resume_writing(self) -> None:
        if self._served:
            self._served.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._served:
            self._door.leave(self._address)
            self._served.connection_lost(exc)


def _address_of(transport: asyncio.BaseTransport) -> str:
    """Name where a connection comes from: of IPv6 the first half, as one customer has all that begin with it."""
    peer = transport.get_extra_info("peername")
    if not peer:
        return ""
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    return str(address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False))
