"""Repositories as a PDS writes them: a signed commit over a Merkle Search Tree, as a CAR file.

https://atproto.com/specs/repository. It is written without the code that reads them, so that tests can hold the two
against each other, and each part can be broken.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import libipld
from atproto_crypto.did import format_did_key
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pipelines.sample.world.blocks import link_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SMALLER_THAN_ANY_ORDER: Final = 1 << 255


class Key:
    """A signing key that a number decides.

    Args:
        curve: The curve.
        secret: The number.
        algorithm: The curve's name in JOSE: `ES256K` or `ES256`.

    Attributes:
        curve: The curve.
        did_key: The public key, as a `did:key`.
    """

    def __init__(self, curve: ec.EllipticCurve, secret: int, algorithm: str) -> None:
        self.curve = curve
        self._key = ec.derive_private_key(secret, curve)
        self._order = curve.group_order
        point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        self.did_key: str = format_did_key(algorithm, point)

    def sign(self, data: bytes, *, is_low_s: bool = True) -> bytes:
        """Sign something; of the two signatures that fit, the protocol wants the one with the low S."""
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        if (s <= self._order // 2) != is_low_s:
            s = self._order - s
        return r.to_bytes(32) + s.to_bytes(32)


@cache
def key_of(name: str) -> Key:
    """Give the signing key of whoever has this name: always the same."""
    secret = int.from_bytes(hashlib.sha256(name.encode()).digest()) % _SMALLER_THAN_ANY_ORDER
    return Key(ec.SECP256K1(), secret, "ES256K")


def verification_method(key: Key, did: str) -> dict[str, str]:
    """Write a key as a DID document names it."""
    return {
        "id": f"{did}#atproto",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": key.did_key.removeprefix("did:key:"),
    }


@dataclass
class Entry:
    """A record in a node. `shared` is what the node says of the key before; None says what is right."""

    key: bytes
    value: bytes
    right: Node | None = None
    shared: int | None = None


@dataclass
class Node:
    """A node of a tree."""

    left: Node | None = None
    entries: list[Entry] = field(default_factory=list)

    def all_nodes(self) -> Iterator[Node]:
        """Give the node and those below it."""
        yield self
        for child in (self.left, *(entry.right for entry in self.entries)):
            if child:
                yield from child.all_nodes()


@dataclass
class Blocks:
    """The blocks of a repository by CID; `root` is the commit's."""

    root: bytes
    blocks: dict[bytes, bytes]


@cache
def height(key: bytes) -> int:
    """Tell in which layer of a tree a key stands."""
    bits = "".join(f"{byte:08b}" for byte in hashlib.sha256(key).digest())
    return len(bits.split("1")[0]) // 2


def common_prefix(left: bytes, right: bytes) -> int:
    """Count the bytes that two keys begin with alike."""
    longest = min(len(left), len(right))
    return next((index for index in range(longest) if left[index] != right[index]), longest)


def tree(links: Mapping[bytes, bytes]) -> Node:
    """Build the tree of a repository, given the link of each record by its key."""
    top = max(map(height, links), default=0)
    return _subtree(sorted(links.items()), top) or Node()


def _subtree(items: list[tuple[bytes, bytes]], layer: int) -> Node | None:
    if not items:
        return None
    node = Node()
    for is_here, group in groupby(items, lambda item: height(item[0]) == layer):
        if is_here:
            node.entries.extend(Entry(key, value) for key, value in group)
        elif node.entries:
            node.entries[-1].right = _subtree(list(group), layer - 1)
        else:
            node.left = _subtree(list(group), layer - 1)
    return node


def encode(node: Node, blocks: dict[bytes, bytes]) -> bytes:
    """Write a node and those below it into `blocks`, and give its CID."""
    before, entries = b"", []
    for entry in node.entries:
        shared = common_prefix(before, entry.key) if entry.shared is None else entry.shared
        right = entry.right and encode(entry.right, blocks)
        entries.append({"p": shared, "k": entry.key[shared:], "v": entry.value, "t": right})
        before = entry.key
    return add({"l": node.left and encode(node.left, blocks), "e": entries}, blocks)


def add(value: Any, blocks: dict[bytes, bytes]) -> bytes:
    """Write a value into `blocks`, and give its CID."""
    block: bytes = libipld.encode_dag_cbor(value)
    cid = link_to(block)
    blocks[cid] = block
    return cid


def commit(unsigned: Mapping[str, Any], blocks: dict[bytes, bytes], key: Key) -> Blocks:
    """Sign a commit, and write it into `blocks`."""
    # The signature is put in by hand: the encoder takes bytes for a link if they begin like one.
    encoded = libipld.encode_dag_cbor({**unsigned, "sig": b""})
    signature = key.sign(libipld.encode_dag_cbor(dict(unsigned)))
    block = encoded.replace(b"\x63sig\x40", b"\x63sig\x58\x40" + signature)
    blocks[link_to(block)] = block
    return Blocks(link_to(block), blocks)


def section(content: bytes) -> bytes:
    """Write a part of a CAR file: its length, and itself."""
    length, head = len(content), b""
    while length >= 0x80:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + content


def car(root: bytes, blocks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Write a CAR file (https://ipld.io/specs/transport/car/carv1)."""
    header = libipld.encode_dag_cbor({"roots": [root], "version": 1})
    return section(header) + b"".join(section(cid + block) for cid, block in blocks)


def car_of(repo: Blocks) -> bytes:
    """Write a repository as a CAR file."""
    return car(repo.root, repo.blocks.items())
