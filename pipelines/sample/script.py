"""What is bound to happen in every sample world, whatever its seed: everything that a pipeline can trip over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.sample.days import moment
from pipelines.sample.truth import ACTIVE, DEACTIVATED, DELETED, SUSPENDED

if TYPE_CHECKING:
    from pipelines.sample.simulation import Scene, Simulation


def prepare(world: Simulation) -> None:
    """Tell what becomes of the accounts: their statuses, handles and labels, and who falls silent."""
    for name, slot, clock, status in (
        ("ghosted", -30, "09:00", DEACTIVATED),
        ("spammy", -10, "14:20", SUSPENDED),
        ("gone", -5, "20:00", DELETED),
        ("hana", 2, "12:00", DEACTIVATED),
        ("hana", 4, "08:30", ACTIVE),
        ("crypto", 5, "11:11", SUSPENDED),
        ("nils", 6, "16:45", DEACTIVATED),
        ("vanish", 7, "21:30", DELETED),
    ):
        world.actor(name).statuses.append((moment(slot, clock), status))
    for name, slot, clock, handle in (
        ("brokendns", -40, "03:00", "handle.invalid"),
        ("jonas", 4, "10:00", "ahrens-data.test"),
        ("leo", 6, "10:05", "jonas.bsky.test"),  # a handle that somebody else had
    ):
        world.actor(name).handles.append((moment(slot, clock), handle))
    for name, slot in (("tomasz", -20), ("greta", -60), ("yusuf", 4)):
        world.actor(name).quiet_from = moment(slot, "12:00")
    world.actor("noprofile").profiles.clear()
    world.change_profile(world.actor("newsbot"), moment(-150, "12:00"), labels=("bot",))
    world.change_profile(world.actor("private"), moment(-150, "12:00"), labels=("!no-unauthenticated",))
    world.change_profile(world.actor("ruth"), moment(6, "09:15"), labels=("!no-unauthenticated",))
    world.change_profile(world.actor("oskar"), moment(3, "07:50"), display_name="Oskar Wiśniewski 🐻‍❄️")
    okoro = world.actor("okoro")
    okoro.created_at = okoro.writes_from = moment(5, "13:00")
    okoro.handles = [(okoro.created_at, okoro.handles[0][1])]
    okoro.statuses = [(okoro.created_at, ACTIVE)]
    okoro.joined_via_pack = world.packs[0].uri
    world.block(world.actor("aloof"), world.actor("mara"), moment(-80, "19:00"))


def scenes(world: Simulation, slot: int) -> list[Scene]:
    """Tell what happens in a slot besides everybody's own talk."""
    people, ducks = world.packs[0].list, world.packs[1].list
    talks = world.lists[0]
    memberships = {
        -45: [("18:00", people, "joao", True)],
        -12: [("18:00", people, "joao", False)],
        3: [("09:30", people, "ines", True)],
        4: [("17:00", ducks, "lena", True)],
        5: [("20:10", people, "pavel", False)],
        6: [("11:00", people, "okoro", True), ("11:05", talks, "priya", False)],
        7: [("19:00", people, "tessa", True)],
        8: [("20:10", people, "pavel", True)],
        9: [("12:00", people, "sofia", False), ("12:30", ducks, "kenji", False)],
    }
    told: list[Scene] = []
    for clock, members, name, joins in memberships.get(slot, []):
        act = world.add_member if joins else world.remove_member
        at = moment(slot, clock)
        told.append((at, lambda act=act, members=members, name=name, at=at: act(members, world.actor(name), at)))
    return told
