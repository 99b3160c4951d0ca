"""Who is not to be shown is not in the file, not even in somebody else's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipelines.page.content import Withheld

if TYPE_CHECKING:
    from pipelines.sample.world.truth import Actor
    from pipelines.sample.world.world import Day, World
    from tests.report.conftest import Published


@pytest.fixture(scope="module")
def withheld(world: World, published: Published) -> list[Actor]:
    """Whoever the world knows to have gone, left or asked not to be shown."""
    day = world.on(published.day)
    lists = [pack.list for pack in world.packs]
    ever = {item.subject for members in lists for item in members.items if item.added_at <= day.now}
    now = {item.subject for members in lists for item in day.memberships(members)}
    return [actor for did in ever if (actor := day.actors.get(did)) and (did not in now or _is_hidden(actor, day))]


def _is_hidden(actor: Actor, day: Day) -> bool:
    profile = actor.profile(day.now)
    return not actor.is_available(day.now) or (profile is not None and "!no-unauthenticated" in profile.labels)


def in_page(text: str) -> str:
    """Write a text as it would stand in the page."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return written.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def test_people(world: World, published: Published, withheld: list[Actor]) -> None:
    page = published.page.read_text(encoding="utf-8")
    now = world.on(published.day).now
    others = {actor.handle(now) for actor in world.actors.values() if actor not in withheld}
    assert len(withheld) >= 7
    for actor in withheld:
        assert actor.did not in page, actor.name
        for _, handle in actor.handles:
            assert handle in others or handle == "handle.invalid" or handle not in page, actor.name
        for profile in actor.profiles:
            assert len(profile.display_name) < 8 or in_page(profile.display_name) not in page, actor.name


def test_posts(world: World, published: Published, withheld: list[Actor]) -> None:
    page = published.page.read_text(encoding="utf-8")
    gone = {actor.did for actor in withheld}
    deleted = {row["post_uri"] for row in published.rows("select post_uri from fct_posts where is_deleted")}
    assert len(deleted) > 5
    now = world.on(published.day).now
    # A word that others wrote as well is theirs.
    kept = {
        post.text for post in world.posts if post.author not in gone and post.uri not in deleted and post.exists(now)
    }
    hidden = [
        post.text
        for post in world.posts
        if (post.author in gone or post.uri in deleted) and post.text and len(post.text) > 20 and post.text not in kept
    ]
    assert len(hidden) > 100
    assert [text for text in hidden if in_page(text) in page] == []
    for uri in deleted:
        assert uri.rpartition("/")[2] not in page


def test_whoever_names_them_is_left_out_of_what_is_quoted() -> None:
    withheld = Withheld(["gone.bsky.test", "did:plc:abc"])
    assert withheld.is_named_in("Thank you, @Gone.bsky.test!")
    assert withheld.is_named_in("title", "https://bsky.app/profile/did:plc:abc/post/1")
    assert not withheld.is_named_in("Nobody at all", None)
    assert not Withheld([]).is_named_in("anything")
