"""Rows that tempt a model that dbt builds on: what one build has read, and what a later one reads of the same things.

Each has somebody of its own, who is named for it, so that nothing else makes a model look at them again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from pipelines.lake.tables import AUTHOR_FEED
from tests.dbt.raw_lakes import Load, did, night, post_uri
from tests.dbt.test_days import MEMBERS as WHOSE_DAYS_MOVE
from tests.dbt.test_days import first_load, last_load, late_load

if TYPE_CHECKING:
    from datetime import datetime

POSTED: Final = night(1, 12)
LATER: Final = POSTED + timedelta(days=1)
FIRST_NIGHT: Final = 4
WITHOUT_TIMES: Final = pa.schema([field.with_nullable(True) for field in AUTHOR_FEED.schema])
"""Of a file that we did not write: ours have a time in each row."""
HOSTILE_PACK: Final = "at://did:plc:curator/app.bsky.graph.starterpack/hostile"
NEWER: Final = {
    "seen_late": (night(4), night(2)),
    "says_less": (night(2), night(4)),
    "tied": (night(3), night(3)),
    "tied_before": (night(3), night(3)),
    "timeless": (night(2), None),
    "timeless_first": (None, night(2)),
    "timeless_both": (None, None),
}
"""When a post was seen in its own feed: in the rows that are known, and in the new ones."""
SHOWN_BY_OTHERS: Final = {
    "own_late": (night(4), True, night(2), False),
    "own_before": (night(2), False, night(4), True),
    "own_after": (night(4), False, night(2), True),
}
"""When a post was seen, and whether in the feed of another: what is known, and what is new."""
REPOSTS: Final = {
    "rewritten": (("s", night(2), LATER), ("t", night(4), LATER)),
    "rewritten_back": (("t", night(2), LATER), ("s", night(4), LATER)),
    "place_late": (("s", night(4), LATER), ("s", night(2), POSTED)),
    "place_lost": (("s", night(2), LATER), ("s", night(4), None)),
    "place_moved": (("s", night(2), POSTED), ("s", night(4), LATER)),
    "place_timeless": (("s", night(2), POSTED), ("s", None, LATER)),
    "place_timeless_first": (("s", None, POSTED), ("s", night(2), LATER)),
}
"""Whose post a repost is of, when it was seen, and its place: what is known, and what is new."""
REACTORS: Final = {"likes_late": (night(4), night(2)), "likes_on": (night(2), night(4))}
AT_ONCE: Final = ["wavers", "made_and_changed", "changed_and_made", "answers"]
"""To whom several things happen at one moment, which engines might put in either order."""


def known_rows() -> list[Load]:
    """What the first build has read."""
    load = Load("1772405002.5")
    everybody = [*NEWER, *SHOWN_BY_OTHERS, *REPOSTS, *AT_ONCE]
    load.pack(night(1), everybody, HOSTILE_PACK)
    for name in everybody:
        load.profile(name, night(1))
    for name, (seen_at, _) in NEWER.items():
        load.post(name, "p", seen_at, POSTED, **_version("one"), **_looks(name, []))
    for name, (seen_at, is_elsewhere, *_) in SHOWN_BY_OTHERS.items():
        load.post(name, "p", seen_at, POSTED, **_version("one"), **_in_another_feed(name, is_elsewhere))
    for name, (repost, _) in REPOSTS.items():
        _repost(load, name, *repost)
    for name, (seen_at, _) in REACTORS.items():
        _react(load, name, seen_at, "One")
    load.post("joined", "p", night(1), POSTED)
    load.profile("wavers", night(1), display_name="Seen twice", labels=["bot"])
    _account(load, night(1, 12), is_active=[False, True])
    _at_once(load, "made_and_changed", "create")
    _at_once(load, "changed_and_made", "update")
    for number in range(3):
        load.post("answers", f"p{number}", night(1), None, reply_parent_uri=post_uri("tied", "p"))
    load.post("answers", "p3", night(1), POSTED, reply_parent_uri=post_uri("tied", "p"))
    _ask(load, "reply", night(2))
    return [load, first_load(FIRST_NIGHT, HOSTILE_PACK)]


def new_rows() -> list[Load]:
    """What is read on top of it. The first load's files sort before those that are known."""
    before, load = Load("1772405001.5"), Load("1772405003.5")
    everybody = ["joined", *NEWER, *SHOWN_BY_OTHERS, *REPOSTS, *AT_ONCE, *WHOSE_DAYS_MOVE]
    load.pack(night(FIRST_NIGHT + 2), everybody, HOSTILE_PACK)
    for name, (_, seen_at) in NEWER.items():
        into = before if name == "tied_before" else load
        posted_at = LATER if name == "says_less" else POSTED
        into.post(name, "p", seen_at, posted_at, text="no more", like_count=3, **_looks(name, ["!no-unauthenticated"]))
    for name, (_, _, seen_at, is_elsewhere) in SHOWN_BY_OTHERS.items():
        load.post(name, "p", seen_at, POSTED, **_version("two"), **_in_another_feed(name, is_elsewhere))
    for name, (_, repost) in REPOSTS.items():
        _repost(load, name, *repost)
    for name, (_, seen_at) in REACTORS.items():
        _react(load, name, seen_at, "Other")
    _account(load, night(2, 12), is_active=[True, False, True, False])
    _at_once(load, "made_and_changed", "update")
    _at_once(load, "changed_and_made", "create")
    return [before, load, late_load(FIRST_NIGHT), last_load(FIRST_NIGHT, HOSTILE_PACK)]


def _version(word: str) -> dict[str, Any]:
    """A post with something for each mart of what posts contain."""
    place = {"byte_start": 0, "byte_end": 8}
    features = {"tag": word, "link": f"https://{word}.test/", "mention": did(word)}
    return {
        "text": f"@{word}.test says so",
        "post_cid": f"bafy{word}",
        "facets": [{"feature": kind, "value": value, **place} for kind, value in features.items()],
        "tags": [word],
        "media": [{"kind": "image", "alt": word}],
        "like_count": 7,
    }


def _looks(name: str, labels: list[str]) -> dict[str, Any]:
    return {"author_handle": f"{name}.of-old.test", "author_labels": labels}


def _in_another_feed(name: str, is_elsewhere: bool) -> dict[str, Any]:
    return {"member": "tied", "repost": f"r-{name}", "item_at": LATER} if is_elsewhere else {}


def _repost(load: Load, name: str, author: str, seen_at: datetime | None, place: datetime | None) -> None:
    load.post(author, "reposted", seen_at, POSTED, member=name, repost="r", item_at=place)


def _account(load: Load, began_at: datetime, *, is_active: list[bool]) -> None:
    """An account wavers within one batch of events, all of which count as of the moment at which it began."""
    batch = {"feed": "jetstream", "service": "jetstream.test", "observed_at": began_at}
    for position, is_there in enumerate(is_active):
        told = {"is_active": is_there, "status": None if is_there else "deactivated", "position": position}
        event_at = began_at + timedelta(seconds=position)
        load.add("repo_events", kind="account", did=did("wavers"), event_at=event_at, **batch, **told)


def _at_once(load: Load, name: str, operation: str) -> None:
    """What one commit, of which half is read first, makes and changes."""
    made = {"created_at": POSTED, "cid": f"bafy{operation}"}
    load.event(name, "post", "heard", POSTED, operation, text=operation, **made)
    load.event(name, "repost", "heard", POSTED, operation, subject_uri=post_uri("tied", operation), **made)
    load.event(name, "follow", "heard", POSTED, operation, subject_uri=did(operation), **made)


def _ask(load: Load, kind: str, at: datetime) -> None:
    asked = {"kind": kind, "subject_uri": post_uri("tied", "p"), "observed_at": at}
    load.add("audience_pulls", is_whole=True, page_count=1, item_count=2, **asked)


def _react(load: Load, name: str, seen_at: datetime, display_name: str) -> None:
    """Somebody likes a post, and so do others whom the newer list lacks."""
    uri = post_uri("tied", "p")
    asked = {"kind": "like", "observed_at": seen_at}
    _ask(load, "like", seen_at)
    looks = {"actor_handle": f"{display_name.lower()}.test", "actor_display_name": display_name, "actor_labels": []}
    load.add("reactions", post_uri=uri, actor_did=did(name), indexed_at=seen_at, **asked, **looks)
    load.add("reactions", post_uri=uri, actor_did=did(f"{name}_{display_name}"), **asked, **looks)
