"""Repositories for tests of the proof: one account's, one revision, two keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import libipld
from cryptography.hazmat.primitives.asymmetric import ec

from pipelines.sample.appview.repo_writer import Blocks, Key, add, commit, encode, tree, verification_method

if TYPE_CHECKING:
    from collections.abc import Mapping

DID: Final = "did:plc:lc5jzrr425fyah724df3z5ik"
REV: Final = "3lbnxk2sz6c2a"

K256: Final = Key(ec.SECP256K1(), 11, "ES256K")
P256: Final = Key(ec.SECP256R1(), 11, "ES256")


def sign(data: bytes, blocks: dict[bytes, bytes], key: Key = K256, /, **changes: Any) -> Blocks:
    """Write the commit over a tree whose CID is `data`. `changes` are made before it is signed."""
    return commit({"did": DID, "version": 3, "data": data, "rev": REV, "prev": None, **changes}, blocks, key)


def repository(records: Mapping[str, Any], key: Key = K256, **changes: Any) -> Blocks:
    """Write a repository, given its records by path."""
    blocks: dict[bytes, bytes] = {}
    links = {path.encode(): add(record, blocks) for path, record in records.items()}
    return sign(encode(tree(links), blocks), blocks, key, **changes)


def cid_text(cid: bytes) -> str:
    return libipld.encode_multibase("b", cid)


def did_document(key: Key, did: str = DID) -> bytes:
    return json.dumps({"id": did, "verificationMethod": [verification_method(key, did)]}).encode()
