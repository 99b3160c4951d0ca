"""Reads from DID documents which server holds an account's records (https://atproto.com/specs/did)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

LOCALHOST: Final = ("localhost", "127.0.0.1", "::1")

_SERVER: Final = re.compile(r"https?://[a-zA-Z0-9.:\[\]-]+/?", re.ASCII)


class _Service(msgspec.Struct):
    id: str = ""
    endpoint: msgspec.Raw = msgspec.field(name="serviceEndpoint", default_factory=msgspec.Raw)


class _DidDocument(msgspec.Struct):
    service: list[_Service] = []


_did_document = msgspec.json.Decoder(_DidDocument)
_text = msgspec.json.Decoder(str)


def pds_endpoint_of(document: bytes | msgspec.Raw) -> str | None:
    """Read which server (PDS) a DID document names.

    Returns:
        The server's URL, without a final slash. None if the document names no server with `https` or on localhost.

    Raises:
        ValueError: The document is malformed.
    """
    for service in _did_document.decode(document).service:
        if service.id.endswith("#atproto_pds"):
            try:
                endpoint = _text.decode(service.endpoint)
            except ValueError:
                continue
            if _may_be_asked(endpoint):
                return endpoint.rstrip("/")
    return None


def _may_be_asked(url: str) -> bool:
    if not _SERVER.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        is_reachable = bool(parts.hostname) and parts.port != 0
        return is_reachable and (parts.scheme == "https" or parts.hostname in LOCALHOST)
    except ValueError:
        return False
