"""Every number on the page is what the core marts give.

The page shows the reports as they are. Here no report is asked, or it would be compared with itself: each number is
counted again from `fct_`, `dim_` and `bridge_` models, in another way than the reports count.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import timedelta
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pipelines.page.content import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
            -- Of people in no pack who were not looked at lately, reposts count: they name the reposter alone.
            and reposts.post_author_did in (
                select did from dim_authors
                where is_publishable
                    or (withheld_because = 'not_looked_at_recently' and not is_member and handle is not null)
            )
    ),
    clock as (select max(last_pulled_at) as now from fct_pull_coverage),
    done as (
        select memberships.pack_uri, acts.*, date_diff('microsecond', acts.acted_at, clock.now) / 86400e6 as days_ago
        from acts cross join clock
        inner join people using (did) inner join memberships using (did)
    )
"""


class Period(NamedTuple):
    """A span of time up to the newest observation."""

    name: str
    days: int
    bin_hours: int


PERIODS = (Period("day", 1, 1), Period("week", 7, 24), Period("month", 28, 24), Period("year", 364, 168))


@pytest.fixture(scope="module")
def content(published: Published) -> dict[str, Any]:
    return published.content


@pytest.fixture(scope="module")
def acts(published: Published) -> dict[str, list[Row]]:
    """Give what was done up to the newest observation, by pack."""
    by_pack = defaultdict(list)
    for row in published.rows(f"{ACTS} select * from done where days_ago >= 0"):
        by_pack[row["pack_uri"]].append(row)
    return by_pack


@pytest.fixture(scope="module")
def withheld(published: Published) -> list[str]:
    """Give the names that no word of the page may hold."""
    people = published.rows("select did, handle, is_publishable from dim_authors")
    taken = {person["handle"] for person in people if person["is_publishable"]}
    names = {name for person in people if not person["is_publishable"] for name in (person["did"], person["handle"])}
    return [name.lower() for name in names - taken if name and name != "handle.invalid"]


def within(acts: Iterable[Row], days: int) -> tuple[list[Row], list[Row]]:
    """Give what is of a period, and what is of the time of equal length before it."""
    now, before = [], []
    for act in acts:
        if act["days_ago"] < days:
            now.append(act)
        elif act["days_ago"] < 2 * days:
            before.append(act)
    return now, before


def posts_of(acts: Iterable[Row]) -> list[Row]:
    return [act for act in acts if act["kind"] != "repost"]


def posts_of_members(content: dict[str, Any]) -> list[Row]:
    """Give the posts of which all is told that is known."""
    return [post for post in content["posts"] if post["kind"]]


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
    assert [
        (period["name"], period["days"], period["bin_hours"], period["bin_count"]) for period in content["periods"]
    ] == [(*period, period.days * 24 // period.bin_hours) for period in PERIODS]
    (newest,) = published.rows("select max(last_pulled_at) as now from fct_pull_coverage")
    assert content["observed_at"] == f"{newest['now']:%Y-%m-%dT%H:%M:%SZ}"


def test_activity(content: dict[str, Any], acts: dict[str, list[Row]]) -> None:
    for uri, name, days, view in views(content):
        period = next(each for each in PERIODS if each.name == name)
        bin_count = days * 24 // period.bin_hours
        now, before = within(acts[uri], days)
        for bars, done in (("bins", now), ("previous", before)):
            assert dict(zip(KINDS, map(sum, view[bars]), strict=True)) == {
                kind: sum(act["kind"] == kind for act in done) for kind in KINDS
            }
        bins = Counter((act["kind"], int(act["days_ago"] * 24 // period.bin_hours)) for act in now + before)
        for place, kind in enumerate(KINDS):
            counts = [bins[kind, number] for number in range(2 * bin_count)]
            assert counts == view["bins"][place][::-1] + view["previous"][place][::-1]
        hours = Counter((act["acted_at"].isoweekday(), act["acted_at"].hour) for act in now)
        assert [[hours[day, hour] for hour in range(24)] for day in range(1, 8)] == view["week"]
        assert view["summary"].get("active", 0) == len({act["did"] for act in now})
        assert view["summary"].get("previous_active", 0) == len({act["did"] for act in before})


def test_reactions(content: dict[str, Any], published: Published) -> None:
    # What a post has at the end of a period, less what it had the night before it; all of it if it is of the period.
    # What was added to older looks than that night's may be older than the period.
    query = """
        with clock as (
            select now, now - to_days($days) + to_hours(12) as begin
            from (select max(last_pulled_at) as now from fct_pull_coverage)
        ),
        seen as (
            select
                engagement.post_uri, posts.author_did,
                posts.posted_at > clock.now - to_days($days) as is_of_period,
                arg_max(engagement.engagement_count, engagement.observed_at) as at_end,
                arg_max(engagement.engagement_count, engagement.observed_at)
                    filter (where engagement.observed_at <= begin and engagement.observed_at > begin - to_days(1))
                    as before,
                bool_or(engagement.observed_at <= begin) as is_older_look_there,
                arg_min(engagement.engagement_count, engagement.observed_at)
                    filter (where engagement.observed_at > begin) as at_first
            from fct_post_engagement as engagement
            inner join fct_posts as posts using (post_uri)
            cross join clock
            where not posts.is_deleted
            group by all
        )
        select
            cast(sum(at_end - coalesce(
                before, case when is_of_period and not is_older_look_there then 0 else at_first end
            )) as bigint) as reactions
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
    posts = {row["post_uri"]: row for row in published.rows("from fct_posts")}
    for post in posts_of_members(content):
        row = posts[f"at://{people[post['by']]['did']}/app.bsky.feed.post/{post['key']}"]
        for name in ("text", "kind", "like_count", "repost_count", "reply_count", "quote_count", "engagement_count"):
            assert post[name] == row[name]


def test_growth_over_the_last_day(content: dict[str, Any], published: Published) -> None:
    (row,) = published.rows("select max(last_pulled_at) as now from fct_pull_coverage")
    night = row["now"] - timedelta(hours=12)
    looks_at = defaultdict(list)
    for look in published.rows(
        "select engagement.post_uri, engagement.observed_at, engagement.engagement_count, posts.posted_at"
        " from fct_post_engagement as engagement inner join fct_posts as posts using (post_uri)"
        " order by engagement.observed_at"
    ):
        looks_at[look["post_uri"]].append(look)
    kinds = set()
    for post in posts_of_members(content):
        looks = looks_at[f"at://{content['people'][post['by']]['did']}/app.bsky.feed.post/{post['key']}"]
        before = [look for look in looks if look["observed_at"] <= night]
        if looks[-1]["observed_at"] <= night:
            kind, growth = "not seen last night", None
        elif before and before[-1]["observed_at"] <= night - timedelta(days=1):
            kind, growth = "not seen the night before", None
        elif before:
            kind, growth = "seen before", looks[-1]["engagement_count"] - before[-1]["engagement_count"]
        elif looks[0]["posted_at"] > row["now"] - timedelta(days=2):
            kind, growth = "new", looks[-1]["engagement_count"]
        else:
            kind, growth = "old, seen first", None
        kinds.add(kind)
        assert post["growth"] == growth, kind
    assert {"not seen last night", "seen before", "new"} <= kinds


@pytest.mark.parametrize("name", ["hashtag", "domain"])
def test_what_posts_name(
    content: dict[str, Any], published: Published, acts: dict[str, list[Row]], withheld: list[str], name: str
) -> None:
    named = defaultdict(set)
    for row in published.rows(
        f"select post_uri, {name} as name from fct_{'links' if name == 'domain' else 'hashtags'}"
    ):
        if row["name"] and not any(word in row["name"].lower() for word in withheld):
            named[row["post_uri"]].add(row["name"])
    for uri, _, days, view in views(content):
        now, before = (
            [(tag, act) for act in posts_of(done) for tag in named[act["uri"]]] for done in within(acts[uri], days)
        )
        posts, previous = (Counter(tag for tag, _ in uses) for uses in (now, before))
        authors = Counter(tag for tag, _ in {(tag, act["did"]) for tag, act in now})
        tags = {*posts, *previous}

        def change(tag: str, posts: Counter[str] = posts, previous: Counter[str] = previous) -> int:
            return posts[tag] - previous[tag]

        expected = sorted(posts, key=lambda tag: (-posts[tag], -authors[tag], tag))[:12]
        if name == "hashtag":
            rising = sorted(
                (tag for tag in tags if change(tag) > 0), key=lambda tag: (-change(tag), -authors[tag], tag)
            )
            falling = sorted(
                (tag for tag in tags if change(tag) < 0), key=lambda tag: (change(tag), -previous[tag], tag)
            )
            expected = sorted({*expected, *rising[:8], *falling[:8]}, key=lambda tag: (-posts[tag], -authors[tag], tag))
        assert [
            (shown["name"], shown["posts"], shown["previous_posts"], shown["authors"]) for shown in view[f"{name}s"]
        ] == [(tag, posts[tag], previous[tag], authors[tag]) for tag in expected]
        assert expected or not now


def test_links(content: dict[str, Any], published: Published, acts: dict[str, list[Row]], withheld: list[str]) -> None:
    links = defaultdict(list)
    for row in published.rows("from fct_links where domain is not null"):
        links[row["post_uri"]].append(row)
    for uri, name, days, view in views(content):
        uses = defaultdict(list)
        for act in posts_of(within(acts[uri], days)[0]):
            for link in links[act["uri"]]:
                uses[link["link_uri"]].append(act | {"title": link["card_title"], "domain": link["domain"]})
        expected = []
        for address, posts in uses.items():
            titled = [post for post in posts if post["title"] is not None]
            newest = max(titled, key=lambda post: (post["acted_at"], post["uri"]), default={"title": None})
            link = {
                "uri": address,
                "domain": posts[0]["domain"],
                "title": newest["title"],
                "posts": len(posts),
                "authors": len({post["did"] for post in posts}),
                "reactions": sum(post["engagement_count"] or 0 for post in posts),
            }
            if not any(word in f"{address} {link['title']}".lower() for word in withheld):
                expected.append(link)
        expected.sort(key=lambda link: (-link["authors"], -link["reactions"], -link["posts"], link["uri"]))
        assert view["links"] == expected[:10]
        assert expected or name != "month"


def test_ties(content: dict[str, Any], published: Published, acts: dict[str, list[Row]]) -> None:
    dids = [person["did"] for person in content["people"]]
    members = defaultdict(set)
    for row in published.rows("select pack_uri, did from bridge_pack_members where is_current"):
        members[row["pack_uri"]].add(row["did"])
        members["all"].add(row["did"])
    may_be_shown = {row["did"] for row in published.rows("select did from dim_authors where is_publishable")}
    by_uri = defaultdict(list)
    for row in published.rows("from fct_interactions where not is_with_self"):
        by_uri[row["interaction_uri"]].append(row)
    names = {"replies": "reply", "quotes": "quote", "reposts": "repost", "mentions": "mention"}
    for uri, _, days, view in views(content):
        ties: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for act in within(acts[uri], days)[0]:
            for done in by_uri[act["uri"]]:
                if done["subject_did"] in members[uri] & may_be_shown:
                    one, other = sorted((done["actor_did"], done["subject_did"]))
                    ties[one, other].update([done["kind"], "given" if done["actor_did"] == one else "returned"])
        order = sorted(ties, key=lambda pair: (-ties[pair]["given"] - ties[pair]["returned"], pair))
        assert [(dids[tie["one"]], dids[tie["other"]]) for tie in view["ties"]] == order[:45]
        for tie, pair in zip(view["ties"], order, strict=False):
            assert (tie["given"], tie["returned"]) == (ties[pair]["given"], ties[pair]["returned"])
            assert {name: tie[name] for name in names} == {name: ties[pair][kind] for name, kind in names.items()}


def test_profiles(content: dict[str, Any], published: Published, acts: dict[str, list[Row]]) -> None:
    dids = [person["did"] for person in content["people"]]
    members = {dids[row["who"]] for row in content["members"]}
    year = within(acts["all"], 364)[0]
    ties: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    done = {act["uri"] for act in year}
    for row in published.rows("from fct_interactions where not is_with_self"):
        if row["interaction_uri"] in done and {row["actor_did"], row["subject_did"]} <= members:
            ties[row["actor_did"]][row["subject_did"], "given"] += 1
            ties[row["subject_did"]][row["actor_did"], "returned"] += 1
    for row in content["members"]:
        did = dids[row["who"]]
        mine = [act for act in year if act["did"] == did]
        weeks = Counter((act["kind"] == "repost", int(act["days_ago"] // 7)) for act in mine if act["days_ago"] < 182)
        shown = row["weeks"] or [[0] * 26, [0] * 26]
        assert [list(reversed(bars)) for bars in shown] == [
            [weeks[is_repost, week] for week in range(26)] for is_repost in (False, True)
        ]
        top = [content["posts"][number] for number in row["top"]]
        most = sorted((act["engagement_count"] or 0 for act in posts_of(mine)), reverse=True)[:10]
        counts = [post["engagement_count"] or 0 for post in top]
        assert {post["by"] for post in top} <= {row["who"]}
        assert (counts, len(top)) == (sorted(counts, reverse=True), min(3, len(most)))
        assert set(counts) <= set(most)
        mine_with = {other for other, _ in ties[did]}

        def both_ways(other: str, own: Counter[tuple[str, str]] = ties[did]) -> int:
            return own[other, "given"] + own[other, "returned"]

        strongest = sorted(mine_with, key=lambda other: (-both_ways(other), other))[:6]
        assert [(dids[other], given, returned) for other, given, returned in row["ties"]] == [
            (other, ties[did][other, "given"], ties[did][other, "returned"]) for other in strongest
        ]
    assert any(row["ties"] and row["top"] and row["weeks"] for row in content["members"])


def test_the_audience(content: dict[str, Any], published: Published) -> None:
    """What the marts know of reactions is held against the world in test_audience.py."""
    dids = [person["did"] for person in content["people"]]

    def uri_of(number: int) -> str:
        post = content["posts"][number]
        return f"at://{dids[post['by']]}/app.bsky.feed.post/{post['key']}"

    people = defaultdict(set)
    for row in published.rows("from fct_reactions where is_current and actor_did != post_author_did"):
        people[row["post_uri"]].add(row["actor_did"])
    below = {row["post_uri"]: row for row in published.rows("from fct_posts where not is_deleted and not is_in_doubt")}
    members = {row["did"] for row in published.rows("select did from bridge_pack_members where is_current")}
    for place, (view, conversations) in enumerate(
        zip([each["week"] for each in content["views"]], content["conversations"], strict=True)
    ):
        for reach in view["reach"]:
            reached = people[uri_of(reach["post"])]
            assert (reach["people"], reach["outside"]) == (len(reached), len(reached - members))
        for reactor in view["reactors"]:
            assert dids[reactor["who"]] not in members
            assert reactor["reactions"] == sum(reactor[kind] for kind in ("likes", "reposts", "quotes", "replies"))
        for top, answers in conversations.items():
            for number, depth in answers:
                parent: str | None = uri_of(number)
                for _ in range(depth):
                    parent = below[parent]["reply_parent_uri"] if parent in below else None
                assert parent in (uri_of(int(top)), None), place
    assert content["views"][0]["week"]["reach"]
    assert content["views"][0]["week"]["reactors"]
    assert content["conversations"][0]


def test_follows_and_what_is_liked(content: dict[str, Any], published: Published) -> None:
    dids = [person["did"] for person in content["people"]]
    packs_of = {dids[row["who"]]: {0, *row["packs"]} for row in content["members"]}
    spans = published.rows("from fct_follow_spans where is_current and follower_did != followed_did")
    follows = {(span["follower_did"], span["followed_did"]): span["followed_at"] for span in spans}
    mutual = {pair for pair in follows if pair[::-1] in follows and set(pair) <= packs_of.keys()}
    assert {tuple(dids[person] for person in pair) for pair in content["follows"]} == {
        pair for pair in mutual if pair[0] < pair[1]
    }
    fans = defaultdict(set)
    for row in published.rows("""
        with clock as (select max(last_pulled_at) as now from fct_pull_coverage)
        select post_uri, liker_did as did from fct_likes_given, clock
        where is_current and liked_at > now - to_days(28)
        union all
        select post_uri, reposter_did from fct_reposts, clock where not is_gone and reposted_at > now - to_days(28)
    """):
        fans[row["post_uri"]].add(row["did"])
    (row,) = published.rows("select max(last_pulled_at) as now from fct_pull_coverage")
    for place, groups in enumerate(content["groups"]):
        members = {did for did, packs in packs_of.items() if place in packs}
        grouped = [dids[person] for group in groups for person in group["members"]]
        tied = {did for pair in follows if set(pair) <= members for did in pair}
        assert sorted(grouped) == sorted(tied), "each of them in one group"
        assert {dids[bridge["who"]] for bridge in content["bridges"][place]} <= tied
        new = {pair: at for pair, at in follows.items() if set(pair) <= members and at > row["now"] - timedelta(days=7)}
        shown = {(dids[fresh["one"]], dids[fresh["other"]]): fresh["at"] for fresh in content["new_follows"][place]}
        newest = sorted(new, key=lambda pair: new[pair], reverse=True)[:30]
        assert shown == {pair: f"{new[pair]:%Y-%m-%dT%H:%M:%SZ}" for pair in newest}
        for outside in content["outside"][place]:
            followers = {one for one, other in follows if other == dids[outside["who"]]} & members
            assert outside["followers"] == len(followers) >= 3
            assert outside["share"] == pytest.approx(len(followers) / len(members), abs=0.001)
            assert dids[outside["who"]] not in packs_of
        for liked in content["liked"][place]:
            post = content["posts"][liked["post"]]
            uri = f"at://{dids[post['by']]}/app.bsky.feed.post/{post['key']}"
            assert liked["people"] == len(fans[uri] & members) >= 3
            assert dids[post["by"]] not in packs_of
    for name in ("follows", "bridges", "new_follows", "outside", "liked"):
        assert content[name][0], name


def test_languages_and_alternative_texts(
    content: dict[str, Any], published: Published, acts: dict[str, list[Row]]
) -> None:
    language_of = {
        row["post_uri"]: row["primary_language"] or "unknown"
        for row in published.rows("select post_uri, primary_language from fct_posts")
    }
    media_of = defaultdict(list)
    for row in published.rows("select post_uri, kind, has_alt_text from fct_media"):
        media_of[row["post_uri"]].append((row["kind"], row["has_alt_text"]))
    for uri, _, days, view in views(content):
        now, before = map(posts_of, within(acts[uri], days))
        languages = Counter(language_of[post["uri"]] for post in now)
        assert [(row["language"], row["posts"]) for row in view["languages"]] == sorted(
            languages.items(), key=lambda item: (-item[1], item[0])
        )[:8]
        media, previous = (
            Counter(medium for post in posts for medium in media_of[post["uri"]]) for posts in (now, before)
        )
        assert {
            row["kind"]: (row["with_alt_text"], row["count"], row["previous_with_alt_text"], row["previous_count"])
            for row in view["media"]
        } == {
            kind: tuple(
                count
                for seen in (media, previous)
                for count in (seen[kind, True], seen[kind, True] + seen[kind, False])
            )
            for kind in {kind for kind, _ in (*media, *previous)}
        }


def test_what_posts_carry(content: dict[str, Any], published: Published, acts: dict[str, list[Row]]) -> None:
    # By the type of the embed and, in a quote with media, by the columns that only one kind of media fills.
    media = published.rows("""
        select
            posts.post_uri,
            case
                when embed_type in ('app.bsky.embed.images', 'app.bsky.embed.gallery') then 'image'
                when embed_type = 'app.bsky.embed.video' then 'video'
                when embed_type = 'app.bsky.embed.external' then 'link_card'
                when embed_type = 'app.bsky.embed.recordWithMedia' then coalesce(any_value(media.kind), 'link_card')
                else 'none'
            end as kind
        from fct_posts as posts left join fct_media as media using (post_uri)
        group by posts.post_uri, embed_type
    """)
    kind_of = {row["post_uri"]: row["kind"] for row in media}
    seen: set[str] = set()
    for uri, _, days, view in views(content):
        counts: dict[str, list[int]] = defaultdict(list)
        for post in within(acts[uri], days)[0]:
            if post["kind"] in {"original", "quote"} and post["engagement_count"] is not None:
                counts[kind_of[post["uri"]]].append(post["engagement_count"])
        expected = sorted(counts, key=lambda kind: (-len(counts[kind]), kind))
        assert [(row["kind"], row["posts"]) for row in view["media_kinds"]] == [
            (kind, len(counts[kind])) for kind in expected
        ]
        for row in view["media_kinds"]:
            each = counts[row["kind"]]
            # Quartiles of one number are that number.
            quartiles = quantiles(each, method="inclusive") if len(each) > 1 else each * 3
            assert [row["quarter"], row["median"], row["three_quarters"]] == pytest.approx(quartiles)
        seen |= counts.keys()
    assert seen == {"image", "video", "link_card", "none"}


def test_members(
    content: dict[str, Any], published: Published, acts: dict[str, list[Row]], withheld: list[str]
) -> None:
    dids = [person["did"] for person in content["people"]]
    people = {row["did"]: row for row in published.rows("from dim_authors where is_publishable and is_current_member")}
    assert {dids[row["who"]] for row in content["members"]} == people.keys()
    packs = defaultdict(set)
    for row in published.rows("select pack_uri, did from bridge_pack_members where is_current"):
        packs[row["did"]].add(row["pack_uri"])
    followers = published.rows(
        "select did, arg_max(followers_count, date_day) as count from fct_author_days"
        " where date_day <= (select max(last_pulled_at) - interval 156 hours from fct_pull_coverage) group by did"
    )
    a_week_ago = {row["did"]: row["count"] for row in followers}
    month: dict[str, list[Row]] = {did: [] for did in people}
    for act in within(acts["all"], 28)[0]:
        month[act["did"]].append(act)
    posts = {did: len(posts_of(done)) for did, done in month.items()}
    counts = {did: [act["engagement_count"] for act in posts_of(done)] for did, done in month.items()}
    engagement = {did: sum(count or 0 for count in each) for did, each in counts.items()}
    usual = {
        did: median(known) if (known := [n for n in each if n is not None]) else None for did, each in counts.items()
    }

    def share_below(did: str, values: dict[str, Any]) -> float:
        below = sum((value or 0) < (values[did] or 0) for value in values.values())
        return float(below / (len(values) - 1))

    for row in content["members"]:
        did = dids[row["who"]]
        now, before = within(posts_of(acts_of_did(acts, did)), 7)
        assert (row["posts_last_week"], row["posts_previous_week"]) == (len(now), len(before))
        assert row["posts_last_month"] == posts[did]
        assert row["reposts_last_month"] == len(month[did]) - posts[did]
        assert row["posts_per_day"] == pytest.approx(posts[did] / 28, abs=0.001)
        assert row["engagement_last_month"] == engagement[did]
        assert row["median_engagement_last_month"] == usual[did]
        shares = [share_below(did, values) for values in (posts, engagement, usual)]
        assert row["score"] == math.floor(100 * mean(shares) + 0.5)
        assert row["links"] == links_to_show(people[did]["links"], withheld)
        assert row["followers_count"] == people[did]["followers_count"]
        if row["followers_change_week"] is not None:
            assert row["followers_change_week"] == people[did]["followers_count"] - a_week_ago[did]
        assert {content["packs"][number]["uri"] for number in row["packs"]} == packs[did]
    assert any(row["followers_change_week"] for row in content["members"])
    assert any(row["links"] for row in content["members"])


def links_to_show(links: list[Row] | None, withheld: list[str]) -> list[Row] | None:
    shown = []
    for link in links or ():
        told = f"{link['url']} {link['title']}".lower()
        if link["url"].startswith("https://") and not link["labels"] and not any(word in told for word in withheld):
            shown.append({"url": link["url"], "title": link["title"]})
    return shown or None


def acts_of_did(acts: dict[str, list[Row]], did: str) -> list[Row]:
    return [act for act in acts["all"] if act["did"] == did]


def test_who_came_and_who_went_quiet(content: dict[str, Any], published: Published, acts: dict[str, list[Row]]) -> None:
    dids = [person["did"] for person in content["people"]]
    came = published.rows("""
        with clock as (select max(last_pulled_at) as now from fct_pull_coverage)
        select members.pack_uri, members.did, members.member_from
        from bridge_pack_members as members
        inner join dim_starter_packs as packs using (pack_uri)
        cross join clock
        where
            members.is_current and members.did in (select did from dim_authors where is_publishable)
            and members.member_from > packs.first_observed_at and members.member_from > clock.now - to_days(28)
    """)
    for place, pack in enumerate(content["packs"]):
        first: dict[str, Any] = {}
        for row in sorted(came, key=lambda row: row["member_from"]):
            if pack["uri"] in ("all", row["pack_uri"]):
                first.setdefault(row["did"], f"{row['member_from']:%Y-%m-%dT%H:%M:%SZ}")
        assert {dids[row["who"]]: row["member_from"] for row in content["newcomers"][place]} == first
        quiet: dict[str, float] = {}
        for act in acts[pack["uri"]]:
            quiet[act["did"]] = min(quiet.get(act["did"], math.inf), act["days_ago"])
        assert {dids[row["who"]] for row in content["quiet"][place]} == {
            did for did, days in quiet.items() if days >= 14
        }
    assert content["newcomers"][0]
    assert content["quiet"][0]


def test_calendar(content: dict[str, Any], acts: dict[str, list[Row]]) -> None:
    for place, pack in enumerate(content["packs"]):
        days = defaultdict(list)
        for act in acts[pack["uri"]]:
            if act["days_ago"] < 365:
                days[act["acted_at"].date()].append(act)
        calendar = content["calendar"][place]
        dates = [min(days) + timedelta(days=number) for number in range((max(days) - min(days)).days + 1)]
        shown = {name: calendar[name][-len(dates) :] for name in ("posts", "reposts", "active")}
        posts = [len(posts_of(days[date])) for date in dates]
        # The oldest day is cut off by the hour here.
        assert shown["posts"][1:] == posts[1:]
        assert shown["reposts"][1:] == [len(days[date]) - count for date, count in zip(dates, posts, strict=True)][1:]
        assert shown["active"][1:] == [len({act["did"] for act in days[date]}) for date in dates][1:]
        assert calendar["first_day"] <= str(dates[0])


def test_how_reactions_grow(content: dict[str, Any], published: Published) -> None:
    looks = published.rows(f"""
        {ACTS}
        select
            done.pack_uri, done.uri, done.kind, engagement.hours_since_posted as hours,
            engagement.engagement_count as count, done.engagement_count as final,
            engagement.engagement_count - engagement.engagement_change as previous,
            engagement.previous_observed_at is null as is_first
        from done inner join fct_post_engagement as engagement on done.uri = engagement.post_uri
        where days_ago < 60
        order by engagement.observed_at
    """)
    for place, pack in enumerate(content["packs"]):
        ages: dict[int, list[Row]] = defaultdict(list)
        histories: dict[str, list[Row]] = defaultdict(list)
        for look in looks:
            if look["pack_uri"] == pack["uri"] and look["hours"] >= 0:
                histories[look["uri"]].append(look)
                if look["hours"] < 192:
                    steps = [age for age in (1, 3, 6, 12) if look["hours"] < age]
                    ages[steps[0] if steps else 24 * (int(look["hours"] // 24) + 1)].append(look)
        assert {row["age_up_to_hours"]: row["post_count"] for row in content["growth"][place]} == {
            age: len({look["uri"] for look in each}) for age, each in ages.items()
        }
        for row in content["growth"][place]:
            counts = [look["count"] for look in ages[row["age_up_to_hours"]] if look["count"] is not None]
            assert row["mean_engagement"] == pytest.approx(mean(counts), abs=0.001)
            assert row["median_engagement"] == median(counts)
        lives: Counter[str] = Counter()
        for each in histories.values():
            history = [look for look in each if look["count"] is not None]
            if not history:
                continue
            half = max(look["count"] for look in history) / 2
            is_followed = history[0]["hours"] <= 36 and history[-1]["hours"] >= 120
            if half >= 2 and is_followed:
                kinds = (history[0]["kind"], "all")
                crossed = any(look["count"] >= half > (0 if look["is_first"] else look["previous"]) for look in history)
                lives.update(kinds if crossed else [])
        assert {row["kind"]: row["post_count"] for row in content["half_life"][place]} == lives


def test_health(content: dict[str, Any], published: Published) -> None:
    (truth,) = published.rows("""
        with loads as (
            select count_if(is_complete) as complete_load_count, count_if(not is_complete) as incomplete_load_count
            from fct_loads
        ),
        pulls as (
            select
                count(*) as pulled_member_count, count_if(last_outcome = 'ok') as ok_member_count,
                count_if(last_outcome = 'failed') as failed_member_count,
                count_if(last_outcome not in ('ok', 'failed')) as unavailable_member_count,
                count_if(is_covered_from_the_beginning) as wholly_covered_member_count,
                cast(sum(gap_count) as bigint) as gap_count
            from fct_pull_coverage
        ),
        unasked as (
            select count(*) as unasked_member_count from fct_pull_coverage join dim_authors using (did)
            where is_unasked and is_current_member
        ),
        people as (
            select
                count_if(is_publishable) as published_member_count,
                count_if(withheld_because = 'asks_to_be_hidden') as hidden_member_count,
                count_if(withheld_because = 'left_out_by_setting') as left_out_member_count
            from dim_authors where is_current_member
        ),
        posts as (
            select
                count(*) as post_count, count_if(is_deleted) as deleted_post_count,
                count_if(has_issues) as posts_with_issues_count, count_if(is_in_doubt) as in_doubt_post_count
            from fct_posts
        ),
        reposts as (select count_if(is_in_doubt) as in_doubt_repost_count from fct_reposts),
        audits as (
            select
                count(audited_at) as audited_member_count, count_if(is_verified) as verified_member_count,
                count_if(is_complete and not is_verified) as listed_member_count
            from fct_audit_coverage
        )
        select *, (select count(*) from fct_post_engagement) as observation_count
        from loads, pulls, unasked, people, posts, reposts, audits
    """)
    assert {name: value for name, value in content["health"].items() if isinstance(value, int)} == truth
    assert truth["post_count"] > truth["deleted_post_count"] > 0
    assert len(content["nights"]) == truth["complete_load_count"]


def test_the_first_screen_agrees_with_the_reports_of_packs(
    content: dict[str, Any], published: Published, acts: dict[str, list[Row]]
) -> None:
    people = published.rows("""
        select pack_uri, count(distinct did) as count
        from (select pack_uri, did from bridge_pack_members where is_current
              union select 'all', did from bridge_pack_members where is_current)
        where did in (select did from dim_authors where is_publishable) group by pack_uri
    """)
    published_members = {row["pack_uri"]: row["count"] for row in people}
    reports = {(row["pack_uri"], row["period"]): row for row in published.rows("from rpt_activity_by_period")}
    for pack in content["packs"]:
        assert pack["published_member_count"] == published_members[pack["uri"]]
    for uri, name, days, view in views(content):
        report = reports[uri, name]
        posts = [sum(view[bins][KINDS.index(kind)]) for bins in ("bins", "previous") for kind in KINDS]
        assert sum(posts[:3]) == report["post_count"]
        assert posts[3] == report["repost_count"]
        assert sum(posts[4:7]) == report["previous_post_count"]
        assert posts[7] == report["previous_repost_count"]
        assert view["summary"].get("active", 0) == report["active_member_count"]
        for prefix, done in zip(("", "previous_"), within(acts[uri], days), strict=True):
            engagement = sum(act["engagement_count"] or 0 for act in done)
            assert report[f"{prefix}engagement_on_posts"] == engagement
