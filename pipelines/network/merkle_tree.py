"""The tree of a repository, a Merkle Search Tree (https://atproto.com/specs/repository#mst-structure).

A set of keys and values has exactly one tree, and a tree is named by one hash. So a tree that was read from its root to
its last leaf, with every node in the form and place that the rules give it, holds all records that the hash stands for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import libipld

from pipelines.network.car import cid_text, is_link
from pipelines.network.not_proved import Check, NotProved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_NODE_BYTES: Final = 256 * 1024
MAX_NODE_ENTRIES: Final = 1_000
"""Entries of a node. Each further one is as likely as 3 in 4: by chance, no repository has a node of 200."""
MAX_KEY_BYTES: Final = 1_024


def entries(root: bytes, read_node: Callable[[bytes], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Walk a tree in the order of its keys and hold it against the rules; the walk's end is the proof.

    Each link leads one layer down, and each node to a key that was not there before: so a tree with a circle, or with a
    node in two places, ends the walk. Memory holds one node a layer.

    Args:
        root: CID of the tree.
        read_node: Gives the block of a node by its CID, held against its hash.

    Yields:
        Key and CID of each record.

    Raises:
        NotProved: The tree breaks a rule.
    """
    top, steps = _read_node(root, read_node(root), None)
    path = [iter(steps)]
    last_key = b""
    while path:
        step = next(path[-1], None)
        if step is None:
            path.pop()
            continue
        key, cid = step
        if key is None:
            path.append(iter(_read_node(cid, read_node(cid), top - len(path))[1]))
        elif key <= last_key:
            raise NotProved(Check.TREE, f"keys are out of order: after {last_key!r} comes {key!r}")
        else:
            last_key = key
            yield key, cid


def layer_of(key: bytes) -> int:
    """Tell how many layers above the lowest one a key has its place: pairs of zero bits that its hash begins with."""
    return (256 - int.from_bytes(hashlib.sha256(key).digest()).bit_length()) // 2


def _read_node(cid: bytes, block: bytes, layer: int | None) -> tuple[int, list[tuple[bytes | None, bytes]]]:
    """Read a node.

    Args:
        cid: Its CID.
        block: Its content.
        layer: The layer where it must be; None for the root, whose layer its keys tell.

    Returns:
        Its layer, and in the order of the keys: key and CID of a record, or None and the CID of a node below.
    """
    is_root = layer is None
    left, children = _decode_node(cid, block)
    steps: list[tuple[bytes | None, bytes]] = [] if left is None else [(None, left)]
    key = b""
    for index, child in enumerate(children):
        try:
            key, value, right = _read_entry(child, key)
        except ValueError as error:
            raise _broken(cid, f"its entry {index} {error}") from None
        key_layer = layer_of(key)
        if layer is None:
            layer = key_layer
        if key_layer != layer:
            raise _broken(cid, f"a key of layer {key_layer} stands in layer {layer}: {key!r}")
        steps.append((key, value))
        if right is not None:
            steps.append((None, right))
    if not children and is_root == (left is not None):
        raise _broken(cid, "it has no entries" + (" and no node below" if left is None else ", only a node below"))
    if layer == 0 and any(key is None for key, _ in steps):
        raise _broken(cid, "it is in the lowest layer, and has a node below")
    return layer or 0, steps


def _read_entry(entry: Any, before: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Read an entry of a node.

    Args:
        entry: What was decoded.
        before: Key of the entry before; empty for the first.

    Returns:
        Its key, the CID of its record, and the CID of the node between its key and the next.

    Raises:
        ValueError: It breaks a rule.
    """
    match entry:
        case {"p": int() as shared, "k": bytes() as rest, "v": bytes() as value, "t": right} if (
            len(entry) == 4 and type(shared) is int and (right is None or _is_node_link(right))
        ):
            pass
        case _:
            raise ValueError("does not have the fields of one")
    if not is_link(value) and not _is_cid(value):
        raise ValueError("has a value that is no link")
    if not 0 <= shared <= len(before) or not rest:
        raise ValueError(f"shares {shared} bytes with the key before, and adds {len(rest)}")
    if shared + len(rest) > MAX_KEY_BYTES:
        raise ValueError(f"has a key of {shared + len(rest):,} bytes")
    if shared < len(before) and rest[0] <= before[shared]:
        is_same = rest[0] == before[shared]
        raise ValueError("shares more with the key before than it says" if is_same else "is out of order")
    return before[:shared] + rest, value, right


def _decode_node(cid: bytes, block: bytes) -> tuple[bytes | None, list[Any]]:
    try:
        node = libipld.decode_dag_cbor(block)
        # The decoder gives a link and a byte string alike, and takes a number that is longer than it need be.
        is_canonical = libipld.encode_dag_cbor(node) == block
    except (ValueError, TypeError, OverflowError, RecursionError):
        is_canonical = False
    if not is_canonical:
        raise _broken(cid, "it is no canonical DAG-CBOR")
    match node:
        case {"l": left, "e": list() as children} if len(node) == 2 and (left is None or _is_node_link(left)):
            if len(children) > MAX_NODE_ENTRIES:
                raise _broken(cid, f"it has {len(children):,} entries, more than {MAX_NODE_ENTRIES:,}")
            return left, children
    raise _broken(cid, "it does not have the fields of one")


def _is_node_link(value: object) -> bool:
    return isinstance(value, bytes) and is_link(value)


def _is_cid(value: bytes) -> bool:
    """Tell whether a value is a CID of another form than `is_link`: the specification lets a record have one."""
    try:
        return libipld.decode_multibase(libipld.encode_cid(value))[1] == value
    except ValueError:
        return False


def _broken(cid: bytes, what: str) -> NotProved:
    return NotProved(Check.TREE, f"node {cid_text(cid)}: {what}")
