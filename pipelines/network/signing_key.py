"""The key that an account signs its repository with, as its DID document says (https://atproto.com/specs/did)."""

from __future__ import annotations

from typing import Final

import msgspec
from atproto_core.exceptions import AtProtocolError
from atproto_crypto.did import get_did_key, parse_did_key

_LONGEST_KEY: Final = 256
"""Characters. Base 58 is read in time that grows with the square of its length; a real key has fewer than 100."""


class _VerificationMethod(msgspec.Struct):
    id: str = ""
    type: str = ""
    key: str = msgspec.field(name="publicKeyMultibase", default="")


class _DidDocument(msgspec.Struct):
    id: str
    methods: list[msgspec.Raw] = msgspec.field(name="verificationMethod", default_factory=list)


_did_document = msgspec.json.Decoder(_DidDocument)
_method = msgspec.json.Decoder(_VerificationMethod)


def signing_key_of(document: bytes | msgspec.Raw, did: str) -> str | None:
    """Read which key a DID document names for the account's repository.

    Args:
        document: The DID document.
        did: Whose it must be.

    Returns:
        The key as a `did:key`. None if the document names none of a type that repositories are signed with.

    Raises:
        ValueError: It is no DID document, or another one's.
    """
    found = _did_document.decode(document)
    if found.id != did:
        raise ValueError("the DID document is another one's")
    for raw in found.methods:
        try:
            method = _method.decode(raw)
            if method.id not in ("#atproto", f"{did}#atproto") or len(method.key) > _LONGEST_KEY:
                continue
            key: str | None = get_did_key(method.type, method.key)
            if key is not None:
                parse_did_key(key)
                return key
        except (AtProtocolError, ValueError):
            continue
    return None
