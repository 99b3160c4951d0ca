"""What goes wrong in lakes like this one, each case in a lake written for it. Take a guard out and its test fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.dbt.laws import broken_laws
from tests.dbt.raw_lakes import OTHER_PACK, PACK, Load, did, night, post_uri, repost_uri
from tests.dbt.warehouses import WHAT_IS_KEPT, Row, Warehouse, differences_of, new_project
from tests.dbt_command import LEFT_OUT

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = [
    "author", "reposter", "mover", "taker", "double", "half", "state", "editor", "pinner", "clock", "edge", "back",
    "elsewhere", "gone", "shy", "bold", LEFT_OUT.removeprefix("did:plc:"), "zone", "late", "leaver", "dubious", "heard",
    "asked", "cut", "unchecked",
]  # fmt: skip
HIDDEN = ["!no-unauthenticated"]
POSTED = night(1, 12)
EDITED_TO = POSTED - timedelta(hours=1)
HEARD = night(4) + timedelta(minutes=30)
ASKED = night(4) + timedelta(hours=2)
OPT_OUT = "app.bsky.graph.referencelistoptout"
HIDDEN_BECAUSE: dict[str, list[str | None]] = {
    "opter": [None, None, None, "opted_out"],
    "unasked": [None, None, None, "opt_out_unknown"],
    "returner": [None, "opted_out", "opted_out", None],
    "opts_out_live": [None, None, None, None],
    "blocker": [None, None, None, "blocks_creator"],
    "blocked": ["blocked_by_creator", "blocked_by_creator", "blocked_by_creator", "blocked_by_creator"],
    "halfway": ["opted_out", "opted_out", "opted_out", "opted_out"],
}
"""Why the service hides members of the main pack, night by night. The last two are listed in the other pack."""
ASKED_FOR = [
    f"+{model}"
    for model in (
        "fct_hashtags", "fct_links", "fct_media", "fct_mentions", "int_known_records", "rpt_activity_by_day",
        "rpt_activity_by_weekday_hour", "rpt_data_health", "rpt_latest_posts", "rpt_top_posts",
    )
]  # fmt: skip
"""What the tests look at, and all that it is made of: half of the models."""
LONG_AGO = datetime(2025, 6, 1, tzinfo=UTC)


def run_of(number: int, *, load_id: str | None = None) -> Load:
    """A night like any other: everybody is there, every feed is read a week back and what is common to all is seen."""
    at = night(number)
    load = Load(load_id or f"17724060{number:02}.5")
    members = [name for name in MEMBERS if not (name == "leaver" and number >= 3)]
    moved = {"mover": "moved.test", "taker": "mover.test"} if number >= 3 else {}
    if number == 4:
        moved["unchecked"] = "handle.invalid"
    load.pack(at, members, handles=moved)
    load.pack(at, ["double", *([] if number == 2 else ["dubious"])], OTHER_PACK, complete=number != 2)
    for name in members:
        is_hidden = name == "shy" or (name == "bold" and number < 4)
        if not (name == "gone" and number >= 4):
            load.profile(name, at, handle=moved.get(name, f"{name}.test"), labels=HIDDEN if is_hidden else [])
        outcome = "not_found" if name == "gone" and number >= 4 else "ok"
        outcome = "failed" if name == "zone" and number == 4 else outcome
        load.pull(name, at, None if number == 1 or name == "cut" else 7, outcome)
        if outcome == "ok" and name not in {"half", "state", "edge", "back", "elsewhere", "late", "cut"}:
            version = version_of_the_editor(number) if name == "editor" else {}
            load.post(name, "common", at, version.pop("posted_at", POSTED), like_count=number * 10, **version)
    if number == 3:
        # Whoever pushes an event may say that "gone" was there in 2099. The next night finds nobody.
        load.add(
            "repo_events",
            kind="account",
            did=did("gone"),
            is_active=True,
            event_at=datetime(2099, 1, 1, tzinfo=UTC),
            observed_at=night(3),
            feed="webhook",
            service="webhook.test",
            position=1,
        )
    hide_some(load, number)
    return load


def hide_some(load: Load, number: int) -> None:
    """Let some be hidden, or opt out. Who is followed no more has no walk; what was read of them stays in the lake."""
    at = night(number)
    for name, reasons in HIDDEN_BECAUSE.items():
        because = reasons[number - 1]
        load.member(name, at, because=because)
        is_elsewhere = name in {"blocked", "halfway"}
        if is_elsewhere:
            load.member(name, at, OTHER_PACK)
        if because is None or is_elsewhere:
            load.profile(name, at)
            load.pull(name, at, None if number == 1 else 7)
            load.post(name, "common", at, POSTED)
    # Never seen but in others' feeds.
    load.member("never_in", at, because="opted_out")
    for name, rkey in (("never_in", "r5"), ("opter", "r6")):
        load.post(name, "common", at, POSTED, **by_reposter(rkey))
    if number == 4:
        live = {"collection": OPT_OUT, "uri": f"at://{did('opts_out_live')}/{OPT_OUT}/3l", "subject_uri": PACK}
        load.event("opts_out_live", "repost", "3l", HEARD, **live)


def version_of_the_editor(number: int) -> dict[str, Any]:
    """A post that says much, and from the second night on something else, an hour earlier, and no more."""
    if number >= 2:
        return {"text": "changed my mind", "post_cid": "bafysecond", "posted_at": EDITED_TO, "indexed_at": POSTED}
    place = {"byte_start": 0, "byte_end": 4}
    return {
        "facets": [
            {"feature": "tag", "value": "regrets", **place},
            {"feature": "link", "value": "https://regrets.test/", **place},
            {"feature": "mention", "value": did("author"), **place},
        ],
        "tags": ["outline"],
        "link_uri": "https://regrets.test/card",
        "media": [{"kind": "image", "alt": "a face"}],
    }


def by_reposter(rkey: str) -> dict[str, Any]:
    return {"member": "reposter", "repost": rkey, "item_at": POSTED}


def lake_of_traps(dataset_of: Warehouse) -> None:
    """Four nights, the second and third of them read by dbt at once, and a load that comes late."""
    dataset = dataset_of.dataset
    first, second, third, fourth = (run_of(number) for number in (1, 2, 3, 4))

    first.post("author", "reposted", night(1), POSTED, like_count=1)
    first.post("author", "reposted", night(1), POSTED, like_count=1, **by_reposter("r1"))
    first.post("stranger", "known", night(1), POSTED, **by_reposter("r2"))
    first.post("nobody", "secret", night(1), POSTED, **by_reposter("r3"), author_labels=HIDDEN)
    for load, at in ((second, night(2)), (third, night(3)), (fourth, night(4))):
        load.post("author", "reposted", at, POSTED, like_count=1)
        load.post("author", "reposted", at, POSTED, like_count=1, **by_reposter("r1"))
        load.post("stranger", "known", at, POSTED, **by_reposter("r2"))
        load.post("nobody", "secret", at, POSTED, **by_reposter("r3"), author_labels=HIDDEN)

    # Somebody pins what is also at its place, further down.
    third.post("pinner", "common", night(3), POSTED, like_count=30, reason_type="pin")
    # Clocks that go wrong, and dates that are none.
    fourth.post("clock", "future", night(4), datetime(2031, 1, 1, tzinfo=UTC), indexed_at=night(4, 12))
    fourth.post("clock", "broken", night(4), None, indexed_at=night(4, 13))
    fourth.post("zone", "midnight", night(4), night(4) - timedelta(hours=22, minutes=30))

    # Everything of `half` is missing in the third night, whose load was cut off; so is everything of `state` in the
    # fourth, which is complete by its state alone.
    for load, at in ((first, night(1)), (second, night(2)), (fourth, night(4))):
        load.post("half", "whole", at, POSTED)
    for load, at in ((first, night(1)), (second, night(2)), (third, night(3))):
        load.post("state", "deleted", at, POSTED)
    # What lies on the edge of what was read was not read; a second later it was.
    edge = night(4) - timedelta(days=7)
    for load, at in ((first, night(1)), (second, night(2)), (third, night(3))):
        load.post("edge", "on", at, edge)
        load.post("edge", "inside", at, edge + timedelta(seconds=1))
        load.post("edge", "nowhere", at, None, indexed_at=POSTED)
    # Missed in the second night, and there again in the fourth.
    first.post("back", "again", night(1), POSTED)
    fourth.post("back", "again", night(4), POSTED)
    # Out of its author's feed, but still on show where it was reposted.
    first.post("elsewhere", "shown", night(1), POSTED)
    fourth.post("elsewhere", "shown", night(4) + timedelta(seconds=1), POSTED, **by_reposter("r4"))
    # And one that another feed shows for a reason that nobody knows yet.
    first.post("elsewhere", "odd", night(1), POSTED)
    fourth.post("elsewhere", "odd", night(4) + timedelta(seconds=1), POSTED, member="reposter", reason_type="new")

    first.post("late", "series", night(1), POSTED, like_count=1)
    fourth.post("late", "series", night(4), POSTED, like_count=7)
    late = Load("1772406009.5")
    late.pull("late", night(2, 22), 7)
    late.post("late", "series", night(2, 22), POSTED, like_count=3)

    # What the live job heard since the last pull: an edit, a repost, and a repost that was taken back. What a pull saw
    # since is no news.
    fourth.event("heard", "post", "common", night(3), "update", text="no news", cid="bafyold")
    fourth.event("heard", "post", "common", HEARD, "update", text="changed live", cid="bafynew", created_at=POSTED)
    fourth.event("heard", "repost", "r5", HEARD, subject_uri=post_uri("unheard", "of"))
    fourth.event("heard", "repost", "r6", HEARD, subject_uri=post_uri("author", "common"))
    fourth.event("heard", "repost", "r6", HEARD + timedelta(minutes=1), "delete")
    fourth.event(
        "heard", "repost", "not-shown", night(4) - timedelta(hours=1), subject_uri=post_uri("author", "common")
    )

    asked_for(first, third)
    checks = answers()
    # Counts that are none.
    fourth.post("unchecked", "huge", night(4), POSTED, like_count=2**63 - 1, repost_count=-1, reply_count=3)

    # An event whose record cannot be read takes no request back.
    fourth.event(
        "shy",
        "profile",
        "self",
        night(4) + timedelta(minutes=30),
        collection="app.bsky.actor.profile",
        uri=f"at://{did('shy')}/app.bsky.actor.profile/self",
    )
    first.write(dataset, files=2)
    second.write(dataset)
    dataset_of.dbt("run", WHAT_IS_KEPT)
    third.write(dataset, evidence=None)
    fourth.write(dataset, evidence="_dlt_pipeline_state")
    late.write(dataset)
    checks.write(dataset)
    dataset_of.dbt("run", "--select", *ASKED_FOR)


def asked_for(first: Load, third: Load) -> None:
    """What walks should show again and do not, and what they need not show."""
    for rkey in ("gone", "hidden", "shown", "unknown", "unavailable", "unasked"):
        first.post("asked", rkey, night(1), POSTED)
    # Two walks to what seemed to be the end of a feed that was cut.
    for rkey in ("one", "two"):
        first.post("cut", rkey, night(1), POSTED)
    # Deleted long after all that a night reads.
    first.post("asked", "old", night(1), LONG_AGO)
    # Indexed late, and the feed has them at the records' own times: the second's is known.
    for rkey in ("placed", "dated-back", "dated"):
        first.post("stranger", "known", night(1), POSTED, member="asked", repost=rkey, item_at=POSTED)
    first.event("asked", "repost", "dated-back", POSTED, subject_uri=post_uri("stranger", "known"), created_at=LONG_AGO)
    first.event("asked", "repost", "dated", POSTED, subject_uri=post_uri("stranger", "known"), created_at=POSTED)
    # Heard live, and then no walk finds it.
    for rkey in ("heard", "heard-hidden"):
        third.event("asked", "post", rkey, night(3), text="heard live", cid="bafyheard", created_at=night(3))


def answers() -> Load:
    """What those say who know; one of them is asked by an audit, and tells of a repost that nobody has seen."""
    load = Load("1772406010.5")
    for rkey, outcome in {
        "gone": "record_gone",
        "hidden": "hidden_by_service",
        "shown": "shown",
        "unknown": "unknown",
        "unavailable": "account_unavailable",
        "heard-hidden": "hidden_by_service",
        "old": "record_gone",
    }.items():
        load.check(post_uri("asked", rkey), ASKED, outcome, cid="bafyasked")
    load.post("asked", "shown", ASKED, POSTED)
    load.check(post_uri("state", "deleted"), ASKED, "record_gone")
    kept = {"subject_uri": post_uri("unheard", "of"), "created_at": LONG_AGO, "asked_because": "audit"}
    load.check(repost_uri("asked", "kept"), ASKED, "in_repository", **kept)
    load.check(repost_uri("asked", "dated"), ASKED, "in_repository", subject_uri=post_uri("stranger", "known"))
    load.audit("asked", ASKED, present_count=6, missing_count=4, healed_count=3, hidden_count=1)
    load.audit("cut", ASKED, present_count=8, missing_count=2, unreadable_count=2)
    load.audit("edge", ASKED, "listed", error="no getRepo")
    load.audit("author", night(3), present_count=10)
    load.audit("author", ASKED, "unchanged")
    load.audit("editor", night(3), present_count=10)
    load.audit("editor", ASKED, "refused", error="the signature does not fit")
    load.audit("bold", ASKED, "failed", error="no answer")
    return load


@pytest.fixture(scope="session")
def traps(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("traps") / "project", parsed_project))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/Los_Angeles")
        lake_of_traps(warehouse)
    return warehouse


def likes(traps: Warehouse, uri: str) -> list[Row]:
    """The series of a post: likes, and their change."""
    columns = "like_count, like_change"
    return traps.rows(f"select {columns} from fct_post_engagement where post_uri = '{uri}' order by observed_at")


def deleted(traps: Warehouse) -> set[str]:
    return {uri for (uri,) in traps.rows("select post_uri from fct_posts where is_deleted")}


def missed(traps: Warehouse) -> set[str]:
    return {uri for (uri,) in traps.rows("select uri from int_missed_records")}


def test_a_repost_is_not_its_reposters_post(traps: Warehouse) -> None:
    reposter, uri = did("reposter"), post_uri("author", "reposted")
    assert traps.rows(f"select post_uri from fct_posts where author_did = '{reposter}'") == [
        (post_uri("reposter", "common"),)
    ]
    assert traps.rows(f"select author_did from fct_posts where post_uri = '{uri}'") == [(did("author"),)]
    assert traps.rows(f"select post_count, repost_count from rpt_members where did = '{reposter}'") == [(1, 3)]
    assert traps.rows(f"select count(*) from fct_posts where author_did = '{did('stranger')}'") == [(0,)]


def test_a_handle_that_moved_moves_nobodys_posts(traps: Warehouse) -> None:
    rows = traps.rows(f"select did, handle from rpt_members where did in ('{did('mover')}', '{did('taker')}')")
    assert dict(rows) == {did("mover"): "moved.test", did("taker"): "mover.test"}
    spans = traps.rows("select did, handle, handle_from, handle_to from int_handle_spans where handle = 'mover.test'")
    assert set(spans) == {
        (did("mover"), "mover.test", night(1), night(3)),
        (did("taker"), "mover.test", night(3), None),
    }


def test_somebody_in_two_packs_counts_once(traps: Warehouse) -> None:
    uri = post_uri("double", "common")
    assert traps.rows(f"select count(*) from fct_posts where post_uri = '{uri}'") == [(1,)]
    assert traps.rows(f"select count(*) from fct_post_engagement where post_uri = '{uri}'") == [(4,)]
    posts_by_pack: dict[str, int] = dict(
        traps.rows("select pack_uri, sum(post_count) from rpt_activity_by_day group by 1")
    )
    posts = traps.rows("select count(*) from int_publishable_posts where posted_at is not null")[0][0]
    assert posts_by_pack["all"] == posts
    assert posts_by_pack[PACK] == posts - 2, "two are hidden in this pack, and listed in the other"
    assert posts_by_pack[OTHER_PACK] == 4
    assert traps.rows(f"select len(pack_uris) from rpt_members where did = '{did('double')}'") == [(2,)]


def test_an_observation_that_was_loaded_twice_is_one(traps: Warehouse) -> None:
    assert likes(traps, post_uri("author", "common")) == [(10, None), (20, 10), (30, 10), (40, 10)]
    read = len(MEMBERS) + len(HIDDEN_BECAUSE)
    assert traps.rows("select count(*) from base_bluesky__profiles where load_id = '1772406001.5'") == [(2 * read,)]
    assert traps.rows("select count(*) from stg_bluesky__profiles where load_id = '1772406001.5'") == [(read,)]


def test_half_a_load_claims_nothing(traps: Warehouse) -> None:
    assert post_uri("half", "whole") not in deleted(traps)
    assert traps.rows("select load_id from fct_loads where not is_complete") == [("1772406003.5",)]


def test_but_what_half_a_load_saw_was_there(traps: Warehouse) -> None:
    uri = post_uri("state", "deleted")
    seen = traps.rows(f"select observed_at from fct_post_engagement where post_uri = '{uri}' order by observed_at")
    assert seen == [(night(1),), (night(2),), (night(3),)]


def test_a_state_without_its_load_is_a_complete_load(traps: Warehouse) -> None:
    uri = post_uri("state", "deleted")
    rows = traps.rows(f"select last_seen_at, last_missed_at from int_missed_records where uri = '{uri}'")
    assert rows == [(night(3), night(4))]
    rows = traps.rows(f"select deleted_after, deleted_before from fct_posts where post_uri = '{uri}'")
    assert rows == [(night(3), ASKED)]


def test_an_edit_is_a_version_not_a_post(traps: Warehouse) -> None:
    rows = traps.rows(f"select text, post_cid, like_count from fct_posts where author_did = '{did('editor')}'")
    assert rows == [("changed my mind", "bafysecond", 40)]
    for mart in ("fct_links", "fct_hashtags", "fct_mentions", "fct_media"):
        assert traps.rows(f"select * from {mart} where author_did = '{did('editor')}'") == [], mart
    ages = traps.rows(f"select hours_since_posted from fct_post_engagement where author_did = '{did('editor')}'")
    assert sorted(ages) == [(12.0,), (36.0,), (60.0,), (84.0,)]


def test_an_edit_heard_live_is_the_latest_version(traps: Warehouse) -> None:
    columns = "text, post_cid, posted_at, like_count, last_observed_at"
    rows = traps.rows(f"select {columns} from fct_posts where author_did = '{did('heard')}'")
    assert rows == [("changed live", "bafynew", POSTED, 40, night(4))]


def test_a_repost_heard_live_is_a_repost_and_in_doubt_where_a_pull_misses_it(traps: Warehouse) -> None:
    columns = "split_part(repost_uri, '/', -1), post_author_did, is_in_doubt, is_gone, gone_because"
    rows = traps.rows(f"select {columns} from fct_reposts where reposter_did = '{did('heard')}' order by 1")
    assert rows == [
        ("not-shown", did("author"), False, False, None),
        ("r5", did("unheard"), False, False, None),
        ("r6", did("author"), False, True, "delete_event"),
    ]
    assert traps.rows(f"select is_member from dim_authors where did = '{did('unheard')}'") == [(False,)]


def test_a_pinned_post_is_one_post(traps: Warehouse) -> None:
    assert traps.rows(f"select count(*) from fct_posts where author_did = '{did('pinner')}'") == [(1,)]
    assert traps.rows(f"select count(*) from fct_reposts where reposter_did = '{did('pinner')}'") == [(0,)]
    assert traps.rows(f"select count(*) from fct_post_engagement where author_did = '{did('pinner')}'") == [(4,)]


def test_dates_that_cannot_be(traps: Warehouse) -> None:
    rows = traps.rows(f"select post_uri, posted_at from fct_posts where author_did = '{did('clock')}'")
    assert dict(rows) == {
        post_uri("clock", "common"): POSTED,
        post_uri("clock", "future"): night(4, 12),
        post_uri("clock", "broken"): night(4, 13),
    }


def test_days_are_days_in_utc(traps: Warehouse) -> None:
    uri = post_uri("zone", "midnight")
    assert traps.rows(f"select posted_date::varchar from fct_posts where post_uri = '{uri}'") == [("2026-03-04",)]
    hours = traps.rows(
        "select hour_of_day from rpt_activity_by_weekday_hour where iso_weekday = 3 and pack_uri = 'all'"
    )
    assert (0,) in hours


def test_what_was_not_read_is_not_missed(traps: Warehouse) -> None:
    assert post_uri("edge", "inside") in missed(traps)
    assert post_uri("edge", "on") not in missed(traps)
    assert post_uri("edge", "nowhere") not in missed(traps)


def test_what_is_seen_again_is_not_missed(traps: Warehouse) -> None:
    assert post_uri("back", "again") not in missed(traps)
    assert post_uri("elsewhere", "shown") not in missed(traps)
    assert post_uri("elsewhere", "odd") not in missed(traps)


def test_what_a_feed_does_not_show_is_gone_only_if_somebody_who_knows_says_so(traps: Warehouse) -> None:
    columns = "split_part(post_uri, '/', -1), is_deleted, deleted_because, is_in_doubt"
    rows = traps.rows(f"select {columns} from fct_posts where author_did = '{did('asked')}'")
    assert set(rows) == {
        ("common", False, None, False),
        ("gone", True, "record_gone", False),
        ("old", True, "record_gone", False),
        ("hidden", True, "hidden_by_service", False),
        ("shown", False, None, False),
        ("unknown", False, None, True),
        ("unavailable", False, None, True),
        ("unasked", False, None, True),
        ("heard", False, None, True),
        ("heard-hidden", True, "hidden_by_service", False),
    }
    rows = traps.rows(f"select asked_because from int_open_questions where uri = '{post_uri('asked', 'heard')}'")
    assert rows == [("seen_live_only",)]


def test_a_feed_that_was_cut_makes_questions_and_no_deletions(traps: Warehouse) -> None:
    rows = traps.rows(f"select is_deleted, is_in_doubt from fct_posts where author_did = '{did('cut')}'")
    assert rows == [(False, True)] * 2
    assert {post_uri("cut", rkey) for rkey in ("one", "two")} <= missed(traps)


def test_a_repost_is_missed_where_the_feed_has_it_and_there_alone(traps: Warehouse) -> None:
    assert {uri for uri in missed(traps) if uri.startswith(f"at://{did('asked')}/app.bsky.feed.repost")} == {
        repost_uri("asked", "dated")
    }
    columns = "split_part(repost_uri, '/', -1), is_gone, is_in_doubt, is_publishable"
    rows = traps.rows(f"select {columns} from int_reposts where reposter_did = '{did('asked')}'")
    assert set(rows) == {
        ("placed", False, False, True),
        ("dated-back", False, False, True),
        ("dated", False, False, False),
        ("kept", False, False, False),
    }
    rows = traps.rows(f"select reposted_at from fct_reposts where repost_uri = '{repost_uri('asked', 'kept')}'")
    assert rows == [(LONG_AGO,)]


def test_the_whole_of_a_feed_is_claimed_from_proofs_alone(traps: Warehouse) -> None:
    columns = "is_verified, is_complete, last_outcome, audited_at, present_count, coverage_percent"
    audits = {
        name: row for name, *row in traps.rows(f"select split_part(did, ':', 3), {columns} from fct_audit_coverage")
    }
    assert audits == {
        "asked": [True, True, "verified", ASKED, 9, 100.0],
        "cut": [True, False, "verified", ASKED, 8, 80.0],
        "edge": [False, True, "listed", ASKED, 10, 100.0],
        "author": [True, True, "unchanged", ASKED, 10, 100.0],
        "editor": [True, True, "refused", night(3), 10, 100.0],
        "bold": [False, False, "failed", None, None, None],
    }
    whole = traps.rows("select split_part(did, ':', 3) from fct_pull_coverage where is_covered_from_the_beginning")
    assert {name for (name,) in whole} == {"asked", "author", "editor"}
    columns = "audited_member_count, verified_member_count, listed_member_count, least_audit_percent"
    assert traps.rows(f"select {columns} from rpt_data_health") == [(5, 4, 1, 80.0)]
    assert traps.rows("select round(audit_percent, 1) from rpt_data_health") == [(95.9,)]


def test_what_an_audit_compares_is_all_that_is_known(traps: Warehouse) -> None:
    columns = "split_part(uri, '/', 4) || ':' || split_part(uri, '/', 5), cid, is_gone"
    rows = traps.rows(f"select {columns} from int_known_records where did = '{did('asked')}'")
    post, repost = "app.bsky.feed.post", "app.bsky.feed.repost"
    assert set(rows) == {
        *((f"{post}:{rkey}", "bafyfirst", False) for rkey in ("common", "shown", "unknown", "unavailable", "unasked")),
        (f"{post}:hidden", "bafyasked", False),
        (f"{post}:gone", "bafyasked", True),
        (f"{post}:old", "bafyasked", True),
        (f"{post}:heard", "bafyheard", False),
        (f"{post}:heard-hidden", "bafyasked", False),
        *((f"{repost}:{rkey}", None, False) for rkey in ("placed", "dated-back", "dated", "kept")),
    }


def test_a_load_of_checks_is_no_night(traps: Warehouse) -> None:
    assert traps.rows("select count(*) from fct_loads where load_id = '1772406010.5'") == [(0,)]


def test_values_of_others_hide_no_good_ones(traps: Warehouse) -> None:
    columns = "like_count, repost_count, reply_count, engagement_count"
    rows = traps.rows(f"select {columns} from fct_posts where post_uri = '{post_uri('unchecked', 'huge')}'")
    assert rows == [(None, None, 3, 3)]
    assert traps.rows(f"select handle from rpt_members where did = '{did('unchecked')}'") == [("unchecked.test",)]


def test_the_laws_hold(traps: Warehouse) -> None:
    assert broken_laws(traps) == []


def test_who_left_and_who_was_only_not_seen(traps: Warehouse) -> None:
    spans = traps.rows("select did, member_from, member_to from bridge_pack_members where member_to is not null")
    assert set(spans) == {
        (did("leaver"), night(1), night(4)),  # the third night's look is of a load that was cut off
        (did("opter"), night(1), night(4)),
        (did("unasked"), night(1), night(4)),
        (did("returner"), night(1), night(2)),
        (did("opts_out_live"), night(1), HEARD),
    }
    assert traps.rows(f"select is_current from bridge_pack_members where did = '{did('dubious')}'") == [(True,)] * 2


def test_who_may_be_published(traps: Warehouse) -> None:
    withheld: dict[str, str] = dict(
        traps.rows("select did, withheld_because from dim_authors where not is_publishable")
    )
    assert withheld == {
        did("shy"): "asks_to_be_hidden",
        did("nobody"): "asks_to_be_hidden",
        **dict.fromkeys(map(did, ("opter", "unasked", "opts_out_live", "never_in")), "opted_out"),
        did("blocker"): "in_a_block",
        did("gone"): "unavailable",
        did("leaver"): "no_longer_a_member",
        did("unheard"): "not_looked_at_recently",
        LEFT_OUT: "left_out_by_setting",
    }
    reposted = {uri.split("/")[2] for (uri,) in traps.rows("select post_uri from int_publishable_reposts")}
    assert reposted == {did("author"), did("stranger"), did("elsewhere")}


def test_who_opts_out_of_a_pack_or_is_blocked_stays_in_the_others(traps: Warehouse) -> None:
    rows = traps.rows("select split_part(did, ':', 3), split_part(pack_uri, '/', -1) from int_report_members")
    shown = {name: {pack for other, pack in rows if other == name} for name in (*HIDDEN_BECAUSE, "double")}
    assert shown == {
        **{name: set() for name in ("opter", "unasked", "opts_out_live", "blocker")},
        **{name: {"other", "all"} for name in ("blocked", "halfway")},
        "returner": {"pack", "all"},
        "double": {"pack", "other", "all"},
    }
    members: dict[str, bool] = dict(traps.rows("select did, is_current_member from dim_authors"))
    assert [members[did(name)] for name in HIDDEN_BECAUSE] == [False, False, True, False, True, True, True]


def test_a_failed_pull_says_nothing_about_a_member(traps: Warehouse) -> None:
    assert traps.rows(f"select status from dim_authors where did = '{did('zone')}'") == [("active",)]
    assert traps.rows(f"select failed_pulls_in_a_row from fct_pull_coverage where did = '{did('zone')}'") == [(1,)]


def test_a_late_load_takes_its_place(traps: Warehouse) -> None:
    uri = post_uri("late", "series")
    rows = traps.rows(
        f"select like_count, like_change from fct_post_engagement where post_uri = '{uri}' order by observed_at"
    )
    assert rows == [(1, None), (3, 2), (7, 4)]


@pytest.mark.slow
def test_reading_it_all_anew_gives_the_same(traps: Warehouse) -> None:
    traps.dbt("run", "--exclude", *ASKED_FOR)
    anew = Warehouse(traps.folder, "anew")
    anew.dbt("run")
    assert differences_of(traps, anew) == set()
