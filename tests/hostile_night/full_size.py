"""A night of 150 members with the budgets of a real one, quiet and hostile: how long each takes.

python -m tests.hostile_night.full_size FOLDER quiet|hostile    the hostile one takes most of an hour, and little CPU

Members' repositories are empty here: a feed of a bulk world is made page by page, and kept nowhere.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.sample.appview.bulk import BulkDay, BulkWorld
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.world.ids import cid, tid_of
from tests.conftest import isolated_lake
from tests.hostile_night.nights import CREATORS, hide_somebody, hostile, spend_night
from tests.hostile_night.strangers import Strangers

if TYPE_CHECKING:
    from pipelines.sample.world.repositories import Stored
    from pipelines.sample.world.truth import MemberList

MEMBERS, POSTS_PER_MEMBER, LATENCY_SECONDS = 150, 300, 0.1


class ThreePacks(BulkWorld):
    """A bulk world whose members are in three packs, each of another creator."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, members=MEMBERS, posts_per_member=POSTS_PER_MEMBER)
        members, [pack] = list(self.actors.values()), self.packs
        packs = []
        for number, creator in enumerate(members[: len(CREATORS)]):
            rkey = tid_of(number)
            uri = f"at://{creator.did}/app.bsky.graph.list/{rkey}"
            of_list: MemberList = replace(pack.list, uri=uri, cid=cid(uri), rkey=rkey, creator=creator.did, items=[])
            some = members[number :: len(CREATORS)]
            of_list.items.extend(self._membership(of_list, actor, place) for place, actor in enumerate(some))
            pack_uri = f"at://{creator.did}/app.bsky.graph.starterpack/{rkey}"
            packs.append(replace(pack, uri=pack_uri, rkey=rkey, creator=creator.did, list=of_list))
        self.packs = tuple(packs)

    def on(self, day: int) -> BulkDay:
        return EmptyRepositories(self, day)


class EmptyRepositories(BulkDay):
    """An evening on which nobody's own server has any records."""

    def repository(self, did: str) -> list[Stored]:
        return []

    def records(self, did: str, collection: str) -> list[Stored]:
        return []


def main() -> None:
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    world = ThreePacks(7)
    creators = [pack.creator for pack in world.packs]
    members = [did for did in world.actors if did not in creators]
    ways, documents = hostile(creators, members) if kind == "hostile" else ({}, {})
    with (
        isolated_lake(folder) as lake,
        SampleServer(world, latency_seconds=LATENCY_SECONDS) as server,
        Strangers(server.url, ways, documents) as strangers,
    ):
        if kind == "hostile":
            hide_somebody(server)
        night = spend_night(lake, server, strangers.directory.url, requests_per_second=10)
        walks = lake.query("select member_did, outcome, item_count from feed_pulls")
    assert {row["member_did"]: row["outcome"] for row in walks} == dict.fromkeys(world.actors, "ok")
    item_count = sum(row["item_count"] for row in walks)
    assert night.run.roster
    lines = [*night.run.roster.problems, *night.run.notes, *night.audits.notes]
    print(f"exit {night.exit_code}, {len(walks)} members, {item_count:,} items loaded; pull {night.seconds[0]:.0f} s,"
          f" audits {night.seconds[1]:.0f} s: {dict(night.audits.outcomes)}", *lines, sep="\n")  # fmt: skip


if __name__ == "__main__":
    main()
