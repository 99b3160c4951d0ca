"""Records as the blocks that a repository holds: DAG-CBOR, named by its hash (https://atproto.com/specs/data-model)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final, TypeVar

import libipld

from pipelines.sample.world.records import record
from pipelines.sample.world.truth import (
    Block,
    Follow,
    Like,
    ListItem,
    MemberList,
    OptOut,
    Post,
    Profile,
    Record,
    Repost,
    StarterPack,
)

R = TypeVar("R", Post, Repost, Follow, Like, ListItem, MemberList, StarterPack, Block, OptOut, Profile)

UNNAMED: Final = ""
"""The CID of what is not `named` yet."""

LINK_PREFIX: Final = b"\x01\x71\x12\x20"
"""What the bytes of a record's CID begin with: version 1, DAG-CBOR, SHA-256 of 32 bytes."""


def block_of(thing: Record) -> bytes:
    """Write something as the block that it is in its author's repository."""
    block: bytes = libipld.encode_dag_cbor(in_cbor(record(thing)))
    return block


def link_to(block: bytes) -> bytes:
    """Give the CID of a block, as bytes."""
    return LINK_PREFIX + hashlib.sha256(block).digest()


def named(thing: R) -> R:
    """Give something the CID that its content has."""
    return replace(thing, cid=cid_text(link_to(block_of(thing))))


def cid_text(cid: bytes) -> str:
    """Write a CID's bytes as text."""
    text: str = libipld.encode_cid(cid)
    return text


def cid_to_bytes(cid: str) -> bytes:
    """Turn a CID's text into its bytes."""
    decoded: bytes = libipld.decode_multibase(cid)[1]
    return decoded


def in_cbor(value: Any) -> Any:
    """Turn the data model's JSON into what the CBOR encoder takes: links become their bytes."""
    match value:
        case {"$link": str(cid)}:
            return cid_to_bytes(cid)
        case dict():
            return {key: in_cbor(element) for key, element in value.items()}
        case list():
            return [in_cbor(element) for element in value]
    return value
