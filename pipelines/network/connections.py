"""Connections over HTTP: straight to a service, or through the proxy that the environment names for it."""

from __future__ import annotations

import threading
import urllib.request
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import LocationParseError, ProxySchemeUnknown

from pipelines.network.did_documents import LOCALHOST
from pipelines.network.exchange import POOL_CLASSES, AddressRefused, Exchange, under_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse


class ProxyUnusable(Exception):  # noqa: N818 (named as the errors of the network are)
    """The environment names a proxy that no request can go through. The message says which variable to correct."""


class Connections:
    """Pools of connections. Safe to use from several threads.

    `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are read as Python's standard library reads them, which the websockets of
    the live job go by too.

    Args:
        most: Connections that each service's pool keeps.
    """

    def __init__(self, most: int = 1) -> None:
        self._settings: dict[str, Any] = {"num_pools": 4, "maxsize": most, "retries": False}
        self._making = threading.Lock()
        self._managers: dict[str | None, urllib3.PoolManager] = {}

    def request(self, method: str, url: str, exchange: Exchange, **how: Any) -> BaseHTTPResponse:
        """Send a request as `urllib3.PoolManager.request` does.

        Args:
            method: As there.
            url: As there.
            exchange: What the request may take, its answer included.
            how: As there.

        Raises:
            ProxyUnusable: The proxy's address cannot be used.
            AddressRefused: The service is at an address that the exchange refuses.
            HTTPError: There is no answer.
        """
        proxy = proxy_of(url)
        if proxy is not None and exchange.refuses is not None:
            _refuse_written_address(url, exchange.refuses)
        timeout = urllib3.Timeout(total=max(exchange.seconds_left, 0.001))
        token = under_way.set(exchange)
        try:
            return self._manager(proxy).request(method, url, timeout=timeout, **how)
        finally:
            under_way.reset(token)

    def _manager(self, proxy: str | None) -> urllib3.PoolManager:
        with self._making:
            if proxy not in self._managers:
                self._managers[proxy] = self._make(proxy)
                self._managers[proxy].pool_classes_by_scheme = POOL_CLASSES
            return self._managers[proxy]

    def _make(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(**self._settings)
        try:
            user, has_user, _ = urlsplit(proxy).netloc.rpartition("@")
            headers = urllib3.make_headers(proxy_basic_auth=unquote(user)) if has_user else None
            return urllib3.ProxyManager(proxy, proxy_headers=headers, **self._settings)
        except (ProxySchemeUnknown, LocationParseError, ValueError):
            # Without the address, which may hold a password.
            raise ProxyUnusable(
                "the proxy that the environment names has no address like http://host:port:"
                " correct HTTP_PROXY or HTTPS_PROXY, or name the service in NO_PROXY"
            ) from None


def _refuse_written_address(url: str, refuses: Callable[[str], bool]) -> None:
    """Refuse an address that stands in the URL itself. A name is resolved by the proxy, where nobody can look."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        if refuses(str(ip_address(host))):
            raise AddressRefused("it is at an address inside this machine or a private network")


def proxy_of(url: str) -> str | None:
    """Tell which proxy the environment names for a URL; None for a straight connection, as to this machine itself."""
    parts = urlsplit(url)
    if parts.hostname in LOCALHOST or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = urllib.request.getproxies().get(parts.scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"
