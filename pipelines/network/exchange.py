"""One request and its answer on the wire, bounded from the first byte of its header to the last of its body.

urllib3 counts a timeout anew with each piece that arrives, and http.client reads any number of `100 Continue`. So each
read from the socket is given what is left of the exchange.
"""

from __future__ import annotations

import http.client
import io
import time
from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError

from pipelines.network.addresses import addresses_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class AddressRefused(HTTPError):  # noqa: N818 (named as the errors of the network are)
    """All addresses of a service are such that it must not be asked."""


class TooMuchSent(OSError):  # noqa: N818 (named as the errors of the network are)
    """An answer is larger than it may be."""


class Exchange:
    """What one request may still take.

    Args:
        seconds: How long, until `take_time` says otherwise.
        size: Bytes, of the header and of what comes before it.
        refuses: Tells of an IP address whether it must not be connected to; None to connect to any.

    Attributes:
        is_too_large: Whether more came than may.
    """

    def __init__(self, seconds: float, size: int, refuses: Callable[[str], bool] | None = None) -> None:
        self.refuses = refuses
        self.is_too_large = False
        self._deadline = time.monotonic() + seconds
        self._longest_pause = inf
        self._size_left = size

    def take_body(self, size: int, *, pause: float = inf) -> None:
        """Give the body its share.

        Args:
            size: Bytes that may come over the wire.
            pause: Seconds that it may stop for.
        """
        self._size_left, self._longest_pause = size, pause

    def take_time(self, seconds: float) -> None:
        """Say anew how long the rest may take."""
        self._deadline = time.monotonic() + seconds

    @property
    def seconds_left(self) -> float:
        """How long it may still take."""
        return self._deadline - time.monotonic()

    def seconds_to_wait(self) -> float:
        """Tell for how long to wait for the next bytes.

        Raises:
            TimeoutError: For no longer.
        """
        seconds = min(self.seconds_left, self._longest_pause)
        if seconds <= 0:
            raise TimeoutError("the time for the answer is over")
        return seconds

    def count(self, size: int) -> None:
        """Count bytes that have come.

        Raises:
            TooMuchSent: There are too many.
        """
        self._size_left -= size
        if self._size_left < 0:
            self.is_too_large = True
            raise TooMuchSent("the answer is too large")


under_way: ContextVar[Exchange | None] = ContextVar("under_way", default=None)
"""The exchange that a connection is made for, or an answer is read in."""


class _Reader(io.RawIOBase):
    """Reads a socket within the bounds of an exchange."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw = raw
        self._socket = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._exchange.seconds_to_wait())
        size = self._raw.readinto(buffer)
        self._exchange.count(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        exchange = under_way.get()
        if exchange is not None:
            self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock, exchange))


class _Connection(HTTPConnection):
    """Connects to the very address that was found to be allowed, so that a name cannot change its mind in between."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        exchange = under_way.get()
        # The name behind a proxy is the proxy's to resolve.
        if exchange is None or exchange.refuses is None or self.proxy is not None:
            return super()._new_conn()
        name, timeout = self._dns_host, self.timeout
        try:
            return self._connect_to_allowed(exchange, name)
        finally:
            self._dns_host, self.timeout = name, timeout

    def _connect_to_allowed(self, exchange: Exchange, name: str) -> socket.socket:
        assert exchange.refuses is not None
        try:
            addresses = addresses_of(name, self.port)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(name, self, error) from error  # type: ignore[arg-type]
        failure: HTTPError = AddressRefused("it is at an address inside this machine or a private network")
        allowed = [address for address in addresses if not exchange.refuses(address)]
        for number, address in enumerate(allowed):
            # One that answers nothing, as with a broken IPv6, leaves time for the others.
            self._dns_host, self.timeout = address, max(exchange.seconds_left / (len(allowed) - number), 0.001)
            try:
                return super()._new_conn()
            except ConnectTimeoutError as error:  # `NewConnectionError` is one of them.
                failure = error
        raise failure


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOL_CLASSES: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}
"""Pools of connections that keep to the bounds of the exchange under way, by scheme."""
