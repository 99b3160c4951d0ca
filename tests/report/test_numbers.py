"""Every number on the page is what a question to the marts gives, asked another way than the page asks it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.page.content import KINDS
from pipelines.page.queries import PERIODS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.report.conftest import Published, Row

# Straight from the core marts: whoever may be published, what of theirs is there, and who is in which pack.
ACTS = """
    with people as (select did from dim_authors where is_publishable and is_member),
    memberships as (
        select distinct pack_uri, did from bridge_pack_members where is_current
        union select 'all', did from bridge_pack_members where is_current
    ),
    acts as (
        select author_did as did, kind, posted_at as acted_at, post_uri as uri, engagement_count from fct_posts
        where not is_deleted
        union all
        select reposts.reposter_did, 'repost', reposts.reposted_at, reposts.repost_uri, null
        from fct_reposts as reposts
        left join fct_posts as posts using (post_uri)
        where
            not reposts.is_gone and not coalesce(posts.is_deleted, false)
            and reposts.post_author_did in (select did from dim_authors where is_publishable)
    ),
    clock as (select max(last_pulled_at) as now from fct_pull_coverage),
    done as (
        select memberships.pack_uri, acts.*, date_diff('microsecond', acts.acted_at, clock.now) / 86400e6 as days_ago
        from acts cross join clock
        inner join people using (did) inner join memberships using (did)
    )
"""


@pytest.fixture(scope="module")
def content(published: Published) -> dict[str, Any]:
    return published.content


def views(content: dict[str, Any]) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Give each pack's and period's part of the page, with the period's length in days."""
    for pack, view in zip(content["packs"], content["views"], strict=True):
        for period in PERIODS:
            yield pack["uri"], period.name, period.days, view[period.name]


def test_it_covers_what_there_is(content: dict[str, Any], published: Published) -> None:
    packs = published.rows("select * from dim_starter_packs order by member_count desc")
    assert [pack["uri"] for pack in content["packs"]] == ["all", *(row["pack_uri"] for row in packs)]
    assert [pack["name"] for pack in content["packs"][1:]] == [row["pack_name"] for row in packs]
    assert [pack["member_count"] for pack in content["packs"][1:]] == [row["member_count"] for row in packs]
    (everybody,) = published.rows("select count(distinct did) as members from bridge_pack_members where is_current")
    assert content["packs"][0]["member_count"] == everybody["members"]
    (newest,) = published.rows("select max(last_pulled_at) as now from fct_pull_coverage")
    assert content["observed_at"] == f"{newest['now']:%Y-%m-%dT%H:%M:%SZ}"


def test_activity(content: dict[str, Any], published: Published) -> None:
    acts = published.rows(f"{ACTS} select pack_uri, kind, did, acted_at, days_ago from done where days_ago >= 0")
    for uri, name, days, view in views(content):
        period = next(each for each in PERIODS if each.name == name)
        mine = [act for act in acts if act["pack_uri"] == uri]
        now = [act for act in mine if act["days_ago"] < days]
        before = [act for act in mine if days <= act["days_ago"] < 2 * days]
        assert dict(zip(KINDS, map(sum, view["bins"]), strict=True)) == {
            kind: sum(act["kind"] == kind for act in now) for kind in KINDS
        }
        assert sum(map(sum, view["previous"])) == len(before)
        bins = Counter((act["kind"], int(act["days_ago"] * 24 // period.bin_hours)) for act in now)
        for kind, counts in zip(KINDS, view["bins"], strict=True):
            assert [bins[kind, place] for place in range(period.bin_count)] == counts[::-1]
        hours = Counter((act["acted_at"].isoweekday(), act["acted_at"].hour) for act in now)
        assert [[hours[day, hour] for hour in range(24)] for day in range(1, 8)] == view["week"]
        assert view["summary"].get("active", 0) == len({act["did"] for act in now})
        assert view["summary"].get("previous_active", 0) == len({act["did"] for act in before})


def test_reactions(content: dict[str, Any], published: Published) -> None:
    # What a post has at the end of a period, less what it had before it; nothing if it is of the period.
    query = """
        with clock as (select max(last_pulled_at) as now from fct_pull_coverage),
        seen as (
            select
                engagement.post_uri, posts.author_did,
                posts.posted_at > clock.now - to_days($days) as is_of_period,
                arg_max(engagement.engagement_count, engagement.observed_at) as at_end,
                arg_max(engagement.engagement_count, engagement.observed_at)
                    filter (where engagement.observed_at <= clock.now - to_days($days) + to_hours(12)) as before,
                arg_min(engagement.engagement_count, engagement.observed_at) as at_first
            from fct_post_engagement as engagement
            inner join fct_posts as posts using (post_uri)
            cross join clock
            where not posts.is_deleted
            group by all
        )
        select
            cast(sum(at_end - coalesce(before, case when is_of_period then 0 else at_first end)) as bigint) as reactions
        from seen
        where
            author_did in (select did from dim_authors where is_publishable)
            and author_did in (
                select did from bridge_pack_members where is_current and (pack_uri = $pack or $pack = 'all')
            )
    """
    checked = 0
    for uri, _, days, view in views(content):
        (row,) = published.rows(query, days=days, pack=uri)
        if row["reactions"]:
            assert view["summary"]["reactions"] == row["reactions"]
            checked += 1
    assert checked >= len(content["packs"]) * 3
    week = content["views"][0]["week"]["summary"]
    assert week["previous_reactions"] > 0, "there was a week before"
    assert content["views"][0]["year"]["summary"]["previous_reactions"] is None, "nobody looked a year before"


def test_top_posts(content: dict[str, Any], published: Published) -> None:
    people = content["people"]
    for uri, _, days, view in views(content):
        rows = published.rows(
            f"{ACTS} select uri from done where pack_uri = $pack and kind != 'repost' and days_ago between 0 and $days"
            " order by engagement_count desc nulls last, uri limit 40",
            pack=uri,
            days=days,
        )
        shown = [content["posts"][number] for number in view["top"]]
        uris = [f"at://{people[post['by']]['did']}/app.bsky.feed.post/{post['key']}" for post in shown]
        ranks = {row["uri"]: rank for rank, row in enumerate(rows)}
        assert len(uris) == min(10, len(rows))
        counts = [post["engagement_count"] for post in shown]
        assert counts == sorted(counts, reverse=True)
        assert set(uris) <= ranks.keys()
    for post in content["posts"]:
        uri = f"at://{people[post['by']]['did']}/app.bsky.feed.post/{post['key']}"
        (row,) = published.rows("select * from fct_posts where post_uri = $uri", uri=uri)
        for name in ("text", "kind", "like_count", "repost_count", "reply_count", "quote_count", "engagement_count"):
            assert post[name] == row[name]


def test_growth_since_the_day_before(content: dict[str, Any], published: Published) -> None:
    growth = {
        row["post_uri"].rpartition("/")[2]: row["engagement_growth"] for row in published.rows("from rpt_top_posts")
    }
    shown = {post["key"]: post["growth"] for post in content["posts"] if post["key"] in growth}
    assert len(shown) > 10
    assert shown == {key: growth[key] for key in shown}


@pytest.mark.parametrize("name", ["hashtag", "domain"])
def test_what_posts_name(content: dict[str, Any], published: Published, name: str) -> None:
    for pack, view in zip(content["packs"], content["views"], strict=True):
        marts = published.rows(f"from rpt_{name}s where pack_uri = $pack", pack=pack["uri"])
        known = {row[name]: row for row in marts}
        for shown in view["week"][f"{name}s"]:
            row = known[shown["name"]]
            assert shown["posts"] == row["posts_last_week"]
            assert shown["previous_posts"] == row["posts_previous_week"]
            assert shown["authors"] == row["authors_last_week"]
        for shown in view["month"][f"{name}s"]:
            assert shown["posts"] == known.get(shown["name"], {"posts_last_month": 0})["posts_last_month"]
        most = max((row["posts_last_week"] for row in marts), default=0)
        assert max((shown["posts"] for shown in view["week"][f"{name}s"]), default=0) == most


def test_links(content: dict[str, Any], published: Published) -> None:
    for pack, view in zip(content["packs"], content["views"], strict=True):
        known = {row["link_uri"]: row for row in published.rows("from rpt_links where pack_uri = $p", p=pack["uri"])}
        shown = view["month"]["links"]
        assert shown
        for link in shown:
            row = known[link["uri"]]
            assert (link["posts"], link["authors"], link["reactions"]) == (
                row["post_count"],
                row["author_count"],
                row["engagement_count"],
            )


def test_ties(content: dict[str, Any], published: Published) -> None:
    dids = [person["did"] for person in content["people"]]
    for pack, view in zip(content["packs"], content["views"], strict=True):
        directed = {
            (row["actor_did"], row["subject_did"]): row
            for row in published.rows("from rpt_interactions where pack_uri = $pack", pack=pack["uri"])
        }
        for tie in view["month"]["ties"]:
            there, back = (directed.get(pair) for pair in _both_ways(dids[tie["one"]], dids[tie["other"]]))
            assert tie["given"] == (there["interaction_count"] if there else 0)
            assert tie["returned"] == (back["interaction_count"] if back else 0)
            for name, column in {
                "replies": "reply",
                "quotes": "quote",
                "reposts": "repost",
                "mentions": "mention",
            }.items():
                assert tie[name] == sum(row[f"{column}_count"] for row in (there, back) if row)


def _both_ways(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (one, other), (other, one)


def test_languages_and_alternative_texts(content: dict[str, Any], published: Published) -> None:
    for pack, view in zip(content["packs"], content["views"], strict=True):
        languages = published.rows("from rpt_languages where pack_uri = $pack", pack=pack["uri"])
        assert {row["language"]: row["posts"] for row in view["month"]["languages"]} == {
            row["primary_language"]: row["post_count"]
            for row in sorted(languages, key=lambda row: (-row["post_count"], row["primary_language"]))[:8]
        }
        media = {
            (row["period"], row["kind"]): (row["media_count"], row["with_alt_text_count"])
            for row in published.rows("from rpt_alt_text where pack_uri = $pack", pack=pack["uri"])
        }
        for period in ("week", "month"):
            for row in view[period]["media"]:
                assert (row["count"], row["with_alt_text"]) == media.get((period, row["kind"]), (0, 0))


def test_the_marts_of_the_page_s_other_parts_are_shown_as_they_are(
    content: dict[str, Any], published: Published
) -> None:
    dids = [person["did"] for person in content["people"]]
    members = {row["did"]: row for row in published.rows("from rpt_members")}
    assert {dids[row["who"]] for row in content["members"]} == members.keys()
    for row in content["members"]:
        mart = members[dids[row["who"]]]
        for name in ("followers_count", "followers_change_week", "posts_last_week", "engagement_last_month", "score"):
            assert row[name] == mart[name]
        assert row["posts_per_day"] == pytest.approx(mart["posts_per_day"], abs=0.001)
        assert [content["packs"][number]["uri"] for number in row["packs"]] == mart["pack_uris"]
    assert any(row["followers_change_week"] for row in content["members"])
    for place, pack in enumerate(content["packs"]):
        for part, mart_name in {"growth": "rpt_engagement_by_age", "half_life": "rpt_half_life"}.items():
            rows = published.rows(f"from {mart_name} where pack_uri = $pack", pack=pack["uri"])
            assert sum(row["post_count"] for row in content[part][place]) == sum(row["post_count"] for row in rows)
        quiet = published.rows("from rpt_quiet_members where pack_uri = $pack", pack=pack["uri"])
        assert {dids[row["who"]] for row in content["quiet"][place]} == {row["did"] for row in quiet}
        came = published.rows(
            "select distinct did from rpt_newcomers where pack_uri = $pack or $pack = 'all'", pack=pack["uri"]
        )
        assert sorted(dids[row["who"]] for row in content["newcomers"][place]) == sorted(row["did"] for row in came)
        days = published.rows("from rpt_activity_by_day where pack_uri = $pack order by date_day", pack=pack["uri"])
        assert content["calendar"][place]["posts"] == [row["post_count"] for row in days]
        assert content["calendar"][place]["reposts"] == [row["repost_count"] for row in days]
        assert content["calendar"][place]["first_day"] == str(days[0]["date_day"])
    (health,) = published.rows("from rpt_data_health")
    assert _counts(content["health"]) == _counts(health)
    assert len(content["nights"]) == health["complete_load_count"]


def _counts(row: Row) -> Row:
    return {name: value for name, value in row.items() if isinstance(value, int)}


def test_the_first_screen_agrees_with_the_pack_s_own_mart(content: dict[str, Any], published: Published) -> None:
    for row in published.rows("from rpt_packs"):
        place = [pack["uri"] for pack in content["packs"]].index(row["pack_uri"])
        assert content["packs"][place]["published_member_count"] == row["published_member_count"]
        for period in ("day", "week"):
            view = content["views"][place][period]
            posts = [sum(view[bins][KINDS.index(kind)]) for bins in ("bins", "previous") for kind in KINDS]
            assert sum(posts[:3]) == row[f"posts_last_{period}"]
            assert posts[3] == row[f"reposts_last_{period}"]
            assert sum(posts[4:7]) == row[f"posts_previous_{period}"]
            assert posts[7] == row[f"reposts_previous_{period}"]
            assert view["summary"].get("active", 0) == row[f"active_members_last_{period}"]
