"""Which addresses are inside: this machine's and those of private networks, which no stranger may have asked."""

from __future__ import annotations

import socket
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_inside(address: str) -> bool:
    """Tell whether an IP address is anything but one host of the public Internet."""
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    # Each of these leads to the IPv4 address that it holds.
    carried = _carried(ip) if isinstance(ip, IPv6Address) else None
    if carried is not None:
        ip = carried
    return not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])


def addresses_of(host: str, port: int | None) -> list[str]:
    """Find the IP addresses of a host, in the order in which they should be tried.

    Raises:
        OSError: The name cannot be resolved.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Outside:
    """Tells which addresses a stranger may name: none that are inside, unless a service of the user's is inside, too.

    Then the network that is read is the user's own: the sample's, a test's, one in a house.

    Args:
        services: URLs of the services that the settings name.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self._services = services

    def refuses(self, address: str) -> bool:
        """Tell whether an IP address is not to be asked."""
        return is_inside(address) and not self._is_own_network

    @cached_property
    def _is_own_network(self) -> bool:
        return any(map(_is_service_inside, self._services))


def _is_service_inside(service: str) -> bool:
    host = urlsplit(service).hostname
    try:
        return bool(host) and any(map(is_inside, addresses_of(host or "", None)))
    except (OSError, UnicodeError):
        return False
