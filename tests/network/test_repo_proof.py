"""A repository proves what its records are, or is refused with the reason."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import random
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import libipld
import pytest
from atproto_crypto.verify import verify_signature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.network import merkle_tree
from pipelines.network.not_proved import Check, NotProved
from pipelines.network.repo_commit import read_commit
from pipelines.network.repo_proof import MAX_RECORD_BYTES, RepoRecord, proved
from pipelines.network.signing_key import signing_key_of
from pipelines.sample.appview.repo_writer import (
    Blocks,
    Entry,
    Key,
    Node,
    add,
    car,
    car_of,
    common_prefix,
    encode,
    height,
    section,
    tree,
)
from pipelines.sample.world.blocks import link_to as link
from tests.network.repo_writer import DID, K256, P256, REV, cid_text, did_document, repository, sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

POST: Final = "app.bsky.feed.post"
LIKE: Final = "app.bsky.feed.like"
INTEROP: Final = Path(__file__).with_name("interop")
EARLIER_REV: Final = "3lbnxk2sz6c2" + "2"

RECORDS: Final = {
    "app.bsky.actor.profile/self": {"$type": "app.bsky.actor.profile"},
    **{f"{LIKE}/3lbn{number:04}aaaa2": {"$type": LIKE, "n": number} for number in range(2222, 2252)},
    **{f"{POST}/3lbn{number:04}aaaa2": {"$type": POST, "text": f"post {number}"} for number in range(2222, 2262)},
}


def interop(name: str) -> Any:
    return json.loads((INTEROP / name).read_text())


def read(
    content: bytes | Iterable[bytes], key: Key = K256, did: str = DID, wanted: Iterable[str] = (POST,), **options: Any
) -> list[RepoRecord]:
    chunks = [content] if isinstance(content, bytes) else content
    with proved(chunks, did, key.did_key, **options) as repo:
        records = list(repo.records(frozenset(wanted)))
        assert repo.record_count == len(records)
        return records


def expected(records: dict[str, Any], missing: Iterable[str] = ()) -> list[RepoRecord]:
    rows = []
    for path, record in sorted(records.items()):
        collection, rkey = path.split("/")
        block = libipld.encode_dag_cbor(record)
        cid = cid_text(link(block))
        if collection != POST:
            rows.append(RepoRecord(collection, rkey, cid))
        elif path in missing:
            rows.append(RepoRecord(collection, rkey, cid, None, is_missing=True))
        else:
            rows.append(RepoRecord(collection, rkey, cid, block))
    return rows


def refused(content: bytes | Iterable[bytes], check: Check, match: str | None, **options: Any) -> None:
    with pytest.raises(NotProved, match=match) as caught:
        read(content, **options)
    assert caught.value.check is check
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350


# What a repository proves.


@pytest.mark.parametrize("key", [K256, P256], ids=["K-256", "P-256"])
@pytest.mark.parametrize("count", [0, 1, 2, 71])
def test_all_records_are_told_and_the_wanted_ones_come_with_their_blocks(key: Key, count: int) -> None:
    records = dict(random.Random(count).sample(sorted(RECORDS.items()), count))
    assert read(car_of(repository(records, key)), key) == expected(records)


def test_blocks_may_come_in_any_order_and_in_any_pieces() -> None:
    repo = repository(RECORDS)
    for seed, size in ((1, 1), (2, 7), (3, 1_000_000)):
        blocks = list(repo.blocks.items())
        random.Random(seed).shuffle(blocks)
        content = car(repo.root, blocks)
        chunks = (content[at : at + size] for at in range(0, len(content), size))
        assert read(chunks) == expected(RECORDS)


def test_blocks_that_nothing_leads_to_are_no_records() -> None:
    repo = repository(RECORDS)
    another = repository({f"{POST}/another": {"$type": POST}})
    blob = b"\x01\x55\x12\x20" + bytes(32)
    sha_512 = b"\x01\x71\x13\x40" + bytes(64)
    version_0 = b"\x12\x20" + bytes(32)
    extra = [(blob, b"a picture" * 300_000), (sha_512, b"x"), (version_0, b""), *another.blocks.items()]
    assert read(car(repo.root, [*extra, *repo.blocks.items(), *repo.blocks.items()])) == expected(RECORDS)


def test_further_roots_have_no_meaning() -> None:
    repo = repository(RECORDS)
    content = car_of(repo)
    header = libipld.encode_dag_cbor({"roots": [repo.root, bytes(link(b"another"))], "version": 1})
    blocks = content[len(section(libipld.encode_dag_cbor({"roots": [repo.root], "version": 1}))) :]
    assert read(section(header) + blocks) == expected(RECORDS)


def test_a_wanted_record_that_the_car_does_not_have_is_told() -> None:
    repo = repository(RECORDS)
    gone = [path for path in RECORDS if path.startswith((POST, LIKE))][25:35]
    for path in gone:
        del repo.blocks[link(libipld.encode_dag_cbor(RECORDS[path]))]
    assert read(car_of(repo)) == expected(RECORDS, missing=gone)


def test_a_record_may_have_a_cid_of_another_form_which_cannot_be_read() -> None:
    blocks: dict[bytes, bytes] = {}
    sha_512 = b"\x01\x71\x13\x40" + bytes(64)
    repo = sign(encode(tree({f"{POST}/a".encode(): sha_512}), blocks), blocks)
    assert read(car_of(repo)) == [RepoRecord(POST, "a", libipld.encode_cid(sha_512), None, is_missing=True)]


def test_a_signature_may_begin_like_a_link() -> None:
    """One in some thousands does, and the encoder would write it as one."""
    blocks: dict[bytes, bytes] = {}
    data = encode(Node(), blocks)
    repo = sign(data, blocks, number=1521)
    signature = libipld.decode_dag_cbor(repo.blocks[repo.root])["sig"]
    assert len(libipld.encode_dag_cbor(signature)) > 66
    assert read(car_of(repo)) == []


def test_the_commit_is_told() -> None:
    repo = repository(RECORDS)
    with proved([car_of(repo)], DID, K256.did_key, since_rev=REV) as proof:
        assert (proof.did, proof.rev, proof.commit_cid) == (DID, REV, cid_text(repo.root))


# What does not prove anything.


def test_a_record_removed() -> None:
    smaller = dict(list(RECORDS.items())[:-1])
    repo, forged = repository(RECORDS), repository(smaller)
    # The tree without the record is put under the commit that was signed over the tree with it.
    refused(car(repo.root, [*forged.blocks.items(), (repo.root, repo.blocks[repo.root])]), Check.BLOCK, "does not have")
    refused(under_the_old_signature(repo, forged), Check.SIGNATURE, "was changed after it was signed")
    refused(with_a_node_replaced(RECORDS, lambda node: node.entries.pop()), Check.BLOCK, "it does not have its hash")


def test_a_record_added() -> None:
    repo, forged = repository(RECORDS), repository({**RECORDS, f"{POST}/3lbn9999aaaa2": {"$type": POST}})
    refused(car(repo.root, [*forged.blocks.items(), (repo.root, repo.blocks[repo.root])]), Check.BLOCK, "does not have")
    refused(under_the_old_signature(repo, forged), Check.SIGNATURE, "was changed after it was signed")

    def add_entry(node: Node) -> None:
        node.entries.append(Entry(b"zzz.zzz.zzz/z", link(b"")))

    refused(with_a_node_replaced(RECORDS, add_entry), Check.BLOCK, "it does not have its hash")


def test_a_record_changed() -> None:
    repo = repository(RECORDS)
    cid = link(libipld.encode_dag_cbor(RECORDS[f"{POST}/3lbn2222aaaa2"]))
    repo.blocks[cid] = libipld.encode_dag_cbor({"$type": POST, "text": "never said"})
    refused(car_of(repo), Check.BLOCK, "it does not have its hash")
    assert len(read(car_of(repo), wanted=())) == len(RECORDS)


def under_the_old_signature(repo: Blocks, forged: Blocks) -> bytes:
    """The commit of `repo` with its own signature, over the tree of `forged`."""
    old, new = (libipld.decode_dag_cbor(one.blocks[one.root])["data"] for one in (repo, forged))
    commit = repo.blocks[repo.root].replace(old, new)
    return car(link(commit), [*forged.blocks.items(), (link(commit), commit)])


def with_a_node_replaced(records: dict[str, Any], change: Callable[[Node], Any]) -> bytes:
    """A repository in which another node stands under the CID of one."""
    repo = repository(records)
    root = tree({path.encode(): link(libipld.encode_dag_cbor(record)) for path, record in records.items()})
    node = list(root.all_nodes())[-1]
    cid = encode(node, {})
    change(node)
    written: dict[bytes, bytes] = {}
    repo.blocks[cid] = written[encode(node, written)]
    return car_of(repo)


@pytest.mark.parametrize(("signer", "key"), [(K256, P256), (P256, K256)], ids=["K-256", "P-256"])
def test_another_key(signer: Key, key: Key) -> None:
    content = car_of(repository(RECORDS, signer))
    refused(content, Check.SIGNATURE, f"another key than {key.did_key} signed it", key=key)


def test_another_account() -> None:
    another = "did:plc:z72i7hdynmk6r22z27h6tvur"
    refused(car_of(repository(RECORDS)), Check.COMMIT, f"is of .*{DID}.*, not of {another}", did=another)


def test_an_old_commit() -> None:
    old = repository(RECORDS, rev=EARLIER_REV)
    assert read(car_of(old), since_rev=EARLIER_REV) == expected(RECORDS)
    refused(car_of(old), Check.REV, f"an old one: {EARLIER_REV} was made before {REV}", since_rev=REV)


def test_a_signature_that_is_not_low_s(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (K256, P256):
        low = key.sign
        monkeypatch.setattr(key, "sign", lambda data, low=low: low(data, is_low_s=False))
        refused(car_of(repository(RECORDS, key)), Check.SIGNATURE, "was changed", key=key)


@pytest.mark.parametrize(
    ("changes", "check", "match"),
    [
        ({"version": 2}, Check.COMMIT, "version 2"),
        ({"version": True}, Check.COMMIT, "version True"),
        ({"version": "3"}, Check.COMMIT, "version '3'"),
        ({"rev": "yesterday"}, Check.COMMIT, "no TID"),
        ({"rev": REV + "\n"}, Check.COMMIT, "no TID"),
        ({"rev": "z" * 13}, Check.COMMIT, "no TID"),
        ({"rev": None}, Check.COMMIT, "no TID"),
        ({"data": None}, Check.COMMIT, "no link"),
        ({"data": b"\x01\x55\x12\x20" + bytes(32)}, Check.COMMIT, "no link"),
        ({"did": 5}, Check.COMMIT, "of 5"),
        ({"more": "x" * 20_000}, Check.SIZE, "more than"),
    ],
)
def test_a_commit_that_is_none(changes: dict[str, Any], check: Check, match: str) -> None:
    refused(car_of(repository(RECORDS, **changes)), check, match)


@pytest.mark.parametrize("content", [b"", b"\x60", b"\xa0", b"\x81" * 9_000, b"\xff", b"\x9b\x00" + b"\xff" * 7])
def test_a_commit_that_is_something_else(content: bytes) -> None:
    refused(car(link(content), [(link(content), content)]), Check.COMMIT, None)


def test_a_key_that_is_none() -> None:
    content = car_of(repository(RECORDS))
    for key in (
        "",
        "did:key:",
        "did:key:z",
        "did:key:zQ3sh",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
    ):
        with pytest.raises(NotProved, match="cannot be used") as caught, proved([content], DID, key):
            pass
        assert caught.value.check is Check.SIGNING_KEY


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (b'{"error":"RepoNotFound"}', "no CAR: it begins with"),
        (b"<!DOCTYPE html><html>", "no CAR: it begins with"),
        (b"\x1f\x8b\x08" + bytes(100), "no CAR: it begins with"),
        (b"\x80" * 50, "no CAR: it begins with"),
        (b"\xff" * 50, "no CAR: it begins with"),
        (section(libipld.encode_dag_cbor({"roots": [], "version": 1})), "no CAR: it begins with"),
        (section(libipld.encode_dag_cbor({"roots": [link(b"")], "version": 2})), "no CAR: it begins with"),
        (section(libipld.encode_dag_cbor({"roots": [b"\x01\x55\x12\x20" + bytes(32)], "version": 1})), "no CAR"),
    ],
)
def test_something_that_is_no_car(content: bytes, match: str) -> None:
    refused(content, Check.CAR, match)


def test_a_car_that_is_cut_short_anywhere() -> None:
    content = car_of(repository({f"{POST}/a": {"$type": POST}, f"{LIKE}/b": {"$type": LIKE}}))
    for length in range(1, len(content), 7):
        with pytest.raises(NotProved, match=r"cut short|no CAR|does not have"):
            read(content[:length])
    refused(content[:-1], Check.CAR, "cut short: it ends in the block")
    refused(content[:20], Check.CAR, "cut short in its header")


@pytest.mark.parametrize(
    "rubbish", [b"\x00", bytes(500), b'{"error":"InternalServerError"}', b"\r\n0\r\n\r\n", b"\xff" * 20, b"\x05hello"]
)
def test_rubbish_behind_a_car(rubbish: bytes) -> None:
    refused(car_of(repository(RECORDS)) + rubbish, Check.CAR, r"what begins at byte [\d,]+ of [\d,]+ is no block")


def test_a_car_that_is_too_large() -> None:
    content = car_of(repository(RECORDS))
    assert read(content, max_bytes=len(content)) == expected(RECORDS)
    refused(content, Check.SIZE, "more than", max_bytes=len(content) - 1)
    refused(itertools.chain([content], itertools.repeat(content)), Check.SIZE, "more than", max_bytes=100_000)


def test_a_record_that_is_too_large() -> None:
    content = car_of(repository({f"{POST}/a": {"text": "x" * MAX_RECORD_BYTES}}))
    refused(content, Check.SIZE, "more than")
    assert len(read(content, wanted=())) == 1


def test_what_the_network_raises_is_passed_on() -> None:
    def broken() -> Iterator[bytes]:
        yield car_of(repository(RECORDS))[:100]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        read(broken())


def test_nothing_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files have no name while they are read, so they are gone after a kill too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = car_of(repository(RECORDS))
    with proved([content], DID, K256.did_key):
        assert list(tmp_path.iterdir()) == []
        assert modes_of_open_files(tmp_path) == [0o600]
    refused(content[:-1], Check.CAR, "cut short")
    assert list(tmp_path.iterdir()) == []
    assert modes_of_open_files(tmp_path) == []


def modes_of_open_files(folder: Path) -> list[int]:
    modes = []
    for file in map(Path, os.listdir("/proc/self/fd")):  # noqa: PTH208 (the folder's own descriptor is closed by then)
        with contextlib.suppress(OSError):
            descriptor = Path("/proc/self/fd") / file
            if str(folder) in str(descriptor.readlink()):
                modes.append(stat.S_IMODE(descriptor.stat().st_mode))
    return modes


# Trees that break a rule, under a signature that is right.

LINK: Final = link(b"\xa0")


def at_height(layer: int, begins: str) -> bytes:
    paths = (f"{POST}/{begins}{number}".encode() for number in itertools.count())
    return next(path for path in paths if height(path) == layer)


A0, B0, C0, D0 = (at_height(0, begins) for begins in "abcd")
B1, C1 = (at_height(1, begins) for begins in "bc")
B2 = at_height(2, "b")


def leaf(*keys: bytes) -> Node:
    return Node(entries=[Entry(key, LINK) for key in keys])


def above(node: Node, layers: int) -> Node:
    for _ in range(layers):
        node = Node(left=node)
    return node


@pytest.mark.parametrize(
    ("root", "match"),
    [
        (leaf(B0, A0), "out of order"),
        (leaf(A0, A0), "adds 0"),
        (Node(entries=[Entry(B1, LINK, right=leaf(A0))]), "keys are out of order: after"),
        (Node(leaf(C0), [Entry(B1, LINK)]), "keys are out of order: after"),
        (Node(leaf(A0), [Entry(B1, LINK, right=leaf(D0)), Entry(C1, LINK)]), "keys are out of order: after"),
        (Node(leaf(A0), [Entry(B1, LINK, right=leaf(A0))]), "keys are out of order: after"),
        (leaf(A0, B1), "a key of layer 1 stands in layer 0"),
        (Node(leaf(A0), [Entry(B2, LINK)]), "a key of layer 0 stands in layer 1"),
        (Node(above(leaf(A0), 1), [Entry(B1, LINK)]), "lowest layer, and has a node below"),
        (Node(entries=[Entry(A0, LINK, right=leaf(B0))]), "lowest layer, and has a node below"),
        (Node(entries=[Entry(B1, LINK, right=Node())]), "no entries and no node below"),
        (above(leaf(A0), 1), "no entries, only a node below"),
        (above(leaf(A0), 40), "no entries, only a node below"),
        (
            Node(entries=[Entry(A0, LINK), Entry(B0, LINK, shared=common_prefix(A0, B0) - 1)]),
            "shares more with the key",
        ),
        (Node(entries=[Entry(A0, LINK), Entry(B0, LINK, shared=0)]), "shares more with the key"),
        (Node(entries=[Entry(A0, LINK, shared=1)]), "shares 1 bytes"),
        (Node(entries=[Entry(A0, LINK, shared=-1)]), "shares -1 bytes"),
        (Node(entries=[Entry(b"", LINK)]), "adds 0"),
        (Node(entries=[Entry(A0, b"no link")]), "a value that is no link"),
        (Node(entries=[Entry(A0, link(b"") + b"x")]), "a value that is no link"),
        (leaf(*sorted(at_height(0, f"{number:04}x") for number in range(1_001))), "1,001 entries"),
    ],
)
def test_a_tree_that_breaks_a_rule(root: Node, match: str) -> None:
    blocks = {LINK: b"\xa0"}
    refused(car_of(sign(encode(root, blocks), blocks)), Check.TREE, match)


def test_a_layer_may_have_no_keys() -> None:
    blocks = {LINK: b"\xa0"}
    root = Node(above(leaf(A0), 1), [Entry(B2, LINK)])
    assert [record.rkey for record in read(car_of(sign(encode(root, blocks), blocks)))] == [
        key.decode().split("/")[1] for key in (A0, B2)
    ]


@pytest.mark.parametrize(
    "key",
    [
        "app.bsky.feed.post",
        "app.bsky.feed.post/",
        "/app.bsky.feed.post/a",
        "app.bsky.feed.post/a/b",
        "app.bsky.feed.post/.",
        "app.bsky.feed.post/..",
        "app.bsky.feed.post/a b",
        "app.bsky.feed.post/a\n",
        "app.bsky.feed.post/é",
        "app.bsky.feed.post/" + "a" * 513,
        "post/a",
        "app.post/a",
        "1pp.bsky.post/a",
        "app.-bsky.post/a",
        "app.bsky.po-st/a",
        "app..post/a",
        "app.bsky.feed.post./a",
        "a" * 64 + ".bsky.post/a",
        "a." * 159 + "post/a",
    ],
)
def test_a_key_that_is_no_path(key: str) -> None:
    refused(car_of(repository({key: {}})), Check.TREE, "a key is no collection with a record key")


@pytest.mark.parametrize(
    "key", ["a-b.c1.Post/~:._-", "app.bsky.feed.post/...", "a.b.c/" + "x" * 512, "a." * 157 + "abc/a"]
)
def test_a_key_that_is_a_path(key: str) -> None:
    assert ["/".join(record[:2]) for record in read(car_of(repository({key: {}})))] == [key]


def test_a_key_that_is_too_long() -> None:
    refused(car_of(repository({f"{POST}/{'a' * 1_024}": {}})), Check.TREE, "a key of 1,043 bytes")


ENTRY: Final = {"p": 0, "k": A0, "v": LINK, "t": None}


@pytest.mark.parametrize(
    "node",
    [
        b"",
        b"\xf6",
        b"\x81" * 5_000,
        b"\x9b\x00" + b"\xff" * 7,
        libipld.encode_dag_cbor({"e": []}),
        libipld.encode_dag_cbor({"e": [], "l": None, "x": 1}),
        libipld.encode_dag_cbor({"e": {}, "l": None}),
        libipld.encode_dag_cbor({"e": [], "l": 1}),
        libipld.encode_dag_cbor({"e": [], "l": b"\x01\x55\x12\x20" + bytes(32)}),
        libipld.encode_dag_cbor({"e": [None], "l": None}),
        libipld.encode_dag_cbor({"e": [{**ENTRY, "x": 1}], "l": None}),
        libipld.encode_dag_cbor({"e": [{**ENTRY, "p": False}], "l": None}),
        libipld.encode_dag_cbor({"e": [{**ENTRY, "p": 0.0}], "l": None}),
        libipld.encode_dag_cbor({"e": [{**ENTRY, "k": A0.decode()}], "l": None}),
        libipld.encode_dag_cbor({"e": [{**ENTRY, "v": None}], "l": None}),
        libipld.encode_dag_cbor({"e": [{"p": 0, "k": A0, "v": LINK}], "l": None}),
        # A number longer than it need be; bytes instead of a link; keys in another order.
        libipld.encode_dag_cbor({"e": [ENTRY], "l": None}).replace(b"\x61p\x00", b"\x61p\x18\x00"),
        libipld.encode_dag_cbor({"e": [ENTRY], "l": None}).replace(b"\xd8\x2a\x58\x25\x00", b"\x58\x24"),
        b"\xa2\x61l\xf6\x61e\x80",
        libipld.encode_dag_cbor({"e": [], "l": None}) + b"\x00",
    ],
)
def test_a_node_that_is_none(node: bytes) -> None:
    refused(car_of(sign(link(node), {link(node): node})), Check.TREE, None)


def test_a_node_that_is_too_large() -> None:
    blocks: dict[bytes, bytes] = {}
    refused(car_of(sign(add({"l": None, "e": ["x" * 300_000]}, blocks), blocks)), Check.SIZE, "more than")


# The protocol's own test data.


@pytest.mark.parametrize("case", interop("key_heights.json"), ids=lambda case: case["key"])
def test_the_layer_of_a_key(case: dict[str, Any]) -> None:
    assert merkle_tree.layer_of(case["key"].encode()) == height(case["key"].encode()) == case["height"]


def test_the_layers_of_the_example_keys() -> None:
    """Their second character is their layer."""
    keys = (INTEROP / "example_keys.txt").read_text().split()
    assert len(keys) == 156
    assert [merkle_tree.layer_of(key.encode()) for key in keys] == [int(key[1]) for key in keys]


def entries(root: bytes, blocks: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return dict(merkle_tree.entries(root, blocks.__getitem__))


@pytest.mark.parametrize("case", interop("commit-proof-fixtures.json"), ids=lambda case: case["comment"])
def test_the_tree_of_some_keys(case: dict[str, Any]) -> None:
    value = libipld.decode_multibase(case["leafValue"])[1]
    before = {key.encode(): value for key in case["keys"]}
    after = dict.fromkeys({*before, *(key.encode() for key in case["adds"])} - {*map(str.encode, case["dels"])}, value)
    for links, root_text in ((before, case["rootBeforeCommit"]), (after, case["rootAfterCommit"])):
        blocks: dict[bytes, bytes] = {}
        root = encode(tree(links), blocks)
        assert cid_text(root) == root_text
        assert entries(root, blocks) == links
    assert set(case["blocksInProof"]) <= {cid_text(cid) for cid in blocks}


@pytest.mark.parametrize("case", interop("common_prefix.json"), ids=lambda case: f"{case['left']}-{case['right']}")
def test_the_prefix_of_two_keys(case: dict[str, Any]) -> None:
    left, right = case["left"].encode(), case["right"].encode()
    assert common_prefix(left, right) == case["len"]
    if not left < right or not left or height(left) != height(right):
        return
    for shared in range(len(left) + 1):
        blocks: dict[bytes, bytes] = {}
        root = encode(Node(entries=[Entry(left, LINK), Entry(right, LINK, shared=shared)]), blocks)
        if shared == case["len"]:
            assert list(entries(root, blocks)) == [left, right]
        else:
            with pytest.raises(NotProved):
                entries(root, blocks)


@pytest.mark.parametrize("case", interop("signature-fixtures.json"), ids=lambda case: case["comment"])
def test_the_signatures(case: dict[str, Any]) -> None:
    def decoded(name: str) -> bytes:
        return base64.b64decode(case[name] + "==")

    method = {"id": "#atproto", "type": case["didDocSuite"], "publicKeyMultibase": case["publicKeyMultibase"]}
    document = json.dumps({"id": DID, "verificationMethod": [method]}).encode()
    key = signing_key_of(document, DID)
    assert key == case["publicKeyDid"]
    signature = decoded("signatureBase64")
    is_valid = len(signature) == 64 and verify_signature(key, decoded("messageBase64"), signature)
    assert is_valid == case["validSignature"]


def test_the_keys_of_the_w3c() -> None:
    for case in interop("w3c_didkey_K256.json"):
        key = Key(K256.curve, int(case["privateKeyBytesHex"], 16), "ES256K")
        assert key.did_key == case["publicDidKey"]
        assert read(car_of(repository(RECORDS, key)), key) == expected(RECORDS)
    for case in interop("w3c_didkey_P256.json"):
        secret = libipld.decode_multibase("z" + case["privateKeyBytesBase58"])[1]
        key = Key(P256.curve, int.from_bytes(secret), "ES256")
        assert key.did_key == case["publicDidKey"]
        assert read(car_of(repository(RECORDS, key)), key) == expected(RECORDS)


# The key in a DID document.


@pytest.mark.parametrize("key", [K256, P256], ids=["K-256", "P-256"])
def test_the_signing_key_is_read_from_the_did_document(key: Key) -> None:
    assert signing_key_of(did_document(key), DID) == key.did_key


def methods(*given: Any) -> bytes:
    return json.dumps({"id": DID, "verificationMethod": given}).encode()


GOOD: Final = {"id": "#atproto", "type": "Multikey", "publicKeyMultibase": K256.did_key.removeprefix("did:key:")}


@pytest.mark.parametrize(
    "given",
    [
        {**GOOD, "id": "#atproto_label"},
        {**GOOD, "id": "did:plc:another#atproto"},
        {**GOOD, "type": "JsonWebKey2020"},
        {**GOOD, "type": "EcdsaSecp256k1VerificationKey2019", "publicKeyMultibase": "z0"},
        {**GOOD, "publicKeyMultibase": "z" + "2" * 100_000},
        {**GOOD, "publicKeyMultibase": None},
        {**GOOD, "publicKeyMultibase": "é"},
        {**GOOD, "publicKeyMultibase": ""},
        {},
        None,
        "#atproto",
    ],
)
def test_what_is_no_signing_key(given: Any) -> None:
    assert signing_key_of(methods(given), DID) is None
    assert signing_key_of(methods(given, GOOD), DID) == K256.did_key


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"id": 1}', b'{"id": "did:plc:another"}', b"\xff"])
def test_what_is_no_did_document(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        signing_key_of(document, DID)


# Whatever comes: the records as they are, or one exception.

SMALL: Final = dict(random.Random(4).sample(sorted(RECORDS.items()), 30))
SMALL_REPO: Final = repository(SMALL)
SMALL_CAR: Final = car_of(SMALL_REPO)


def holds(content: bytes) -> None:
    """Either the records are those of `SMALL`, each with its block or without one, or the content is refused."""
    records = told(content)
    if records is not None:
        for record, original in zip(records, expected(SMALL), strict=True):
            assert record in (original, original._replace(block=None, is_missing=True))


def told(content: bytes) -> list[RepoRecord] | None:
    try:
        return read(content)
    except NotProved:
        return None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(SMALL_CAR)
    blocks = list(SMALL_REPO.blocks.items())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content) - 1))
        match draw(st.sampled_from(["flip", "cut", "drop", "insert", "repeat", "swap names", "swap content"])):
            case "flip":
                content[at] ^= draw(st.integers(1, 255))
            case "cut":
                del content[max(at, 1) :]
            case "drop":
                del content[max(at, 1) : at + draw(st.integers(1, 80))]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=80))
            case "repeat":
                content += content[at:]
            case "swap names":
                one, two = draw(st.sampled_from(blocks))[0], draw(st.sampled_from(blocks))[0]
                marker = b"\x00" * 36
                content = content.replace(one, marker).replace(two, one).replace(marker, two)
            case "swap content":
                one, two = draw(st.sampled_from(blocks))[0], draw(st.sampled_from(blocks))[0]
                swapped = {**SMALL_REPO.blocks, one: SMALL_REPO.blocks[two], two: SMALL_REPO.blocks[one]}
                content = bytearray(car(SMALL_REPO.root, swapped.items()))
    return bytes(content)


@given(mutated())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repository_that_was_changed_tells_the_same_or_is_refused(content: bytes) -> None:
    holds(content)


@given(st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_random_bytes_are_refused(content: bytes) -> None:
    refused_as_what_it_is(content)


def refused_as_what_it_is(content: bytes) -> None:
    with pytest.raises(NotProved):
        read(content)
    with pytest.raises(NotProved):
        read_commit(content, DID, K256.did_key)
    with pytest.raises(NotProved):
        entries(link(content), {link(content): content})


@pytest.mark.slow
@given(mutated())
@settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_repository_that_was_changed_in_2_000_ways(content: bytes) -> None:
    holds(content)


CBOR: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=5)
    | st.sampled_from([A0, LINK, link(b"")]),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(
            st.sampled_from(["e", "l", "p", "k", "v", "t", "did", "rev", "data", "sig", "version"]), values, max_size=6
        )
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(CBOR)
@settings(max_examples=300, deadline=None)
def test_any_value_as_a_commit_or_a_node(value: Any) -> None:
    block = libipld.encode_dag_cbor(value)
    with pytest.raises(NotProved):
        read_commit(block, DID, K256.did_key)
    repo = sign(link(block), {link(block): block})
    assert len(told(car_of(repo)) or []) <= 4


@pytest.mark.slow
@given(
    st.dictionaries(
        st.from_regex(r"[a-d]\.[a-d]\.[a-d]{1,2}/[a-d0-9]{1,9}", fullmatch=True), st.integers(0, 5), max_size=300
    )
)
@settings(max_examples=100, deadline=None)
def test_any_repository_tells_its_records(records: dict[str, int]) -> None:
    found = read(car_of(repository(records)), wanted=[path.split("/")[0] for path in records])
    assert {f"{record.collection}/{record.rkey}": record.block for record in found} == {
        path: libipld.encode_dag_cbor(value) for path, value in records.items()
    }
