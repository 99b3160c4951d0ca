"""The repositories of the sample network, signed, each with a key that the world's seed decides."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pipelines.sample.appview.repo_writer import Blocks, Key, car_of, commit, encode, key_of, tree
from pipelines.sample.world.blocks import block_of, cid_text, cid_to_bytes

if TYPE_CHECKING:
    from pipelines.sample.world.world import Day


def signing_key(day: Day, did: str) -> Key:
    """Give the key that an account signs its repository with."""
    return key_of(f"{day.world.seed}/{did}")


def latest_commit(day: Day, did: str) -> dict[str, str | None]:
    """Name the commit at the top of somebody's repository, as getLatestCommit does."""
    return {"cid": cid_text(_written(day, did).root), "rev": day.rev(did)}


def repository_car(day: Day, did: str) -> bytes:
    """Write somebody's repository as a CAR file, as getRepo does."""
    return car_of(_written(day, did))


@lru_cache(maxsize=64)
def _written(day: Day, did: str) -> Blocks:
    blocks: dict[bytes, bytes] = {}
    links: dict[bytes, bytes] = {}
    for stored in day.repository(did):
        link = cid_to_bytes(stored.cid)
        links[f"{stored.collection}/{stored.rkey}".encode()] = link
        blocks[link] = block_of(stored.record)
    data = encode(tree(links), blocks)
    unsigned = {"did": did, "version": 3, "data": data, "rev": day.rev(did), "prev": None}
    return commit(unsigned, blocks, signing_key(day, did))
