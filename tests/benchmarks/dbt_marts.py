"""What the analytics layer costs: a full build, one night's and the page, beside plain SQL and the example's approach.

    python tests/benchmarks/dbt_marts.py [--items 1000000] [--members 200] [--nights 30] [--folder DIR]

Each way makes the same core marts of the same lake, with DuckDB's same memory limit. The first is this project's dbt.
The second is the limit: the marts as plain SQL over the files, in one go and with nothing kept. The third is how the
known example does it: the item's JSON text, taken apart in the models.

What dbt costs is said in both ways: beyond what the same costs on an empty lake, which is dbt itself (its start, and
the statements around each model), and with that included, tests and all, as the job runs it each night. Seconds on the
wall leave dbt's start and parsing out; seconds of CPU do not.
What is short is measured several times: the least counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from pipelines.report import build_report

PROJECT_ROOT: Final = Path(__file__).parents[2]
MEMORY_LIMIT: Final = "2GB"

TID: Final = """array_to_string(list_transform(range(13), lambda n:
                '234567abcdefghijklmnopqrstuvwxyz'[1 + (((epoch_us({time}) << 10) >> (60 - 5 * n)::bigint) & 31)]
            ), '')"""
"""Record key of a moment (https://atproto.com/specs/tid)."""

ITEMS: Final = """
copy (
    with items as (
        select
            {night} as night,
            member,
            item,
            'did:plc:' || substr(md5('m' || member), 1, 24) as member_did,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) + to_seconds(member) as observed_at,
            timestamptz '2026-02-01 22:00:00Z' - to_seconds((item * {spacing})::bigint) - to_seconds(member * 7)
                as item_at,
            hash(member, item) as luck
        from range({members}) as members(member), range({first_item}, {last_item}) as items(item)
    ),
    described as (
        select
            *,
            luck % 100 < 20 as is_repost,
            case when luck % 100 < 20 then 'did:plc:' || substr(md5('m' || luck % {members}), 1, 24) else member_did end
                as author_did,
            -- What is reposted is an hour old or some, seldom years.
            case when is_repost then item_at - to_seconds((3600 * exp(11.5 * pow(luck % 1000 / 1000, 2)))::bigint)
                else item_at end as posted_at,
            {tid_of_item} as item_rkey,
            {tid_of_post} as rkey,
            array_to_string(list_transform(range(6 + (luck % 30)::int), lambda n: ['data', 'pipelines', 'are', 'quiet',
                'until', 'somebody', 'asks', 'about', 'the', 'schema', 'of', 'tables'][1 + (hash(luck, n) % 12)::int]),
                ' ') as text,
            least(({night} + 200 - item * {spacing} / 86400)::int, 8) + 8 as age
        from items
    )
    select
        member_did,
        observed_at,
        case when is_repost then 'at://' || member_did || '/app.bsky.feed.repost/' || item_rkey
            else 'at://' || member_did || '/app.bsky.feed.post/' || rkey end as item_uri,
        item_at,
        item_at as item_indexed_at,
        case when is_repost then 'repost' end as reason_type,
        'at://' || author_did || '/app.bsky.feed.post/' || rkey as post_uri,
        'bafyrei' || md5(rkey) as post_cid,
        posted_at as post_indexed_at,
        author_did,
        substr(author_did, 9, 8) || '.bsky.social' as author_handle,
        'Somebody ' || substr(author_did, 9, 8) as author_display_name,
        []::varchar[] as author_labels,
        posted_at as created_at,
        text,
        ['en'] as langs,
        null::varchar[] as tags,
        case when luck % 10 < 3 then [
            {{'feature': 'tag', 'value': 'tag' || luck % 500, 'byte_start': 0::bigint, 'byte_end': 4::bigint}},
            {{'feature': 'link', 'value': 'https://site' || luck % 900 || '.example/post/' || luck % 100000,
              'byte_start': 5::bigint, 'byte_end': 30::bigint}},
            {{'feature': 'mention', 'value': 'did:plc:' || substr(md5('m' || luck % 77), 1, 24),
              'byte_start': 31::bigint, 'byte_end': 40::bigint}}
        ] end as facets,
        case when luck % 10 in (4, 5, 6) then 'at://did:plc:' || substr(md5('m' || luck % {members}), 1, 24)
            || '/app.bsky.feed.post/3l' || substr(md5('p' || luck % 5000), 1, 11) end as reply_parent_uri,
        case when luck % 10 in (4, 5, 6) then 'at://did:plc:' || substr(md5('m' || luck % {members}), 1, 24)
            || '/app.bsky.feed.post/3l' || substr(md5('p' || luck % 5000), 1, 11) end as reply_root_uri,
        case when luck % 20 = 7 then 'app.bsky.embed.record' when luck % 20 = 8 then 'app.bsky.embed.images' end
            as embed_type,
        case when luck % 20 = 7 then 'at://did:plc:' || substr(md5('m' || luck % {members}), 1, 24)
            || '/app.bsky.feed.post/3l' || substr(md5('p' || luck % 5000), 1, 11) end as quoted_uri,
        case when luck % 20 = 9 then 'https://site' || luck % 900 || '.example/card' end as link_uri,
        case when luck % 20 = 9 then 'A card' end as link_title,
        null::varchar as link_description,
        case when luck % 20 = 8 then [{{'kind': 'image', 'alt': case when luck % 3 = 0 then 'a chart' end}}] end
            as media,
        (luck % 40 * age // 16)::bigint as like_count,
        (luck % 7 * age // 16)::bigint as repost_count,
        (luck % 5 * age // 16)::bigint as reply_count,
        (luck % 3 * age // 16)::bigint as quote_count,
        0::bigint as bookmark_count,
        []::varchar[] as labels,
        null::varchar[] as self_labels,
        null::varchar[] as issues,
        to_json({{
            'post': {{
                'uri': 'at://' || author_did || '/app.bsky.feed.post/' || rkey, 'cid': 'bafyrei' || md5(rkey),
                'author': {{'did': author_did, 'handle': substr(author_did, 9, 8) || '.bsky.social',
                            'displayName': 'Somebody ' || substr(author_did, 9, 8), 'labels': []::varchar[]}},
                'record': {{'$type': 'app.bsky.feed.post', 'text': text, 'createdAt': posted_at, 'langs': ['en'],
                    'facets': case when luck % 10 < 3 then [
                        {{'features': [{{'$type': 'app.bsky.richtext.facet#tag', 'tag': 'tag' || luck % 500,
                                        'uri': null, 'did': null}}]}},
                        {{'features': [{{'$type': 'app.bsky.richtext.facet#link', 'tag': null, 'uri': 'https://site'
                                || luck % 900 || '.example/post/' || luck % 100000, 'did': null}}]}}] end,
                    'reply': case when luck % 10 in (4, 5, 6) then {{'parent': {{'uri': 'at://did:plc:'
                        || substr(md5('m' || luck % {members}), 1, 24) || '/app.bsky.feed.post/3l'
                        || substr(md5('p' || luck % 5000), 1, 11)}}}} end,
                    'padding': repeat('lorem ipsum ', 60)}},
                'likeCount': luck % 40 * age // 16, 'repostCount': luck % 7 * age // 16,
                'replyCount': luck % 5 * age // 16, 'quoteCount': luck % 3 * age // 16, 'indexedAt': posted_at
            }},
            'reason': case when is_repost then {{'$type': 'app.bsky.feed.defs#reasonRepost',
                'uri': 'at://' || member_did || '/app.bsky.feed.repost/' || item_rkey, 'indexedAt': item_at}} end
        }})::varchar as raw,
        '{load_id}' as _dlt_load_id
    from described
    -- One in a hundred is deleted three days later.
    where luck % 97 > 0 or {night} = 0 or {night} + item / 5.0 <= 3
) to '{path}' (format parquet, compression zstd)
"""

OTHERS: Final = {
    "feed_pulls": """
        select 'did:plc:' || substr(md5('m' || member), 1, 24) as member_did,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) + to_seconds(member) as observed_at,
            'ok' as outcome, null::varchar as error, 1::bigint as page_count, 100::bigint as item_count,
            5::bigint as new_item_count,
            case when {night} > 0 then timestamptz '2026-01-25 22:00:00Z' + to_days({night}::int) end as covered_from,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) + to_seconds(member) as covered_to,
            {night} = 0 as reached_end, 5000::bigint as posts_count, null::timestamptz as cursor_before,
            null::timestamptz as cursor_after, '{load_id}' as _dlt_load_id
        from range({members}) as members(member)""",
    "profiles": """
        select 'did:plc:' || substr(md5('m' || member), 1, 24) as did,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) as observed_at,
            substr(md5('m' || member), 1, 8) || '.bsky.social' as handle, 'Somebody' as display_name,
            'words' as description, null::varchar as avatar_url, 100::bigint as followers_count,
            100::bigint as follows_count, 5000::bigint as posts_count, null::varchar as pinned_post_uri,
            null::varchar as joined_via_pack_uri, timestamptz '2024-01-01' as created_at,
            timestamptz '2024-01-01' as indexed_at, []::varchar[] as labels, null::varchar[] as issues, '' as raw,
            '{load_id}' as _dlt_load_id
        from range({members}) as members(member)""",
    "starter_pack_members": """
        select 'at://did:plc:c/app.bsky.graph.starterpack/p' as pack_uri,
            'did:plc:' || substr(md5('m' || member), 1, 24) as did,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) as observed_at, 'starter_pack' as seed_type,
            null::varchar as list_item_uri, true as is_listed, null::varchar as hidden_because,
            substr(md5('m' || member), 1, 8) || '.bsky.social' as handle, 'Somebody' as display_name,
            []::varchar[] as labels, null::varchar[] as issues, '' as raw, '{load_id}' as _dlt_load_id
        from range({members}) as members(member)""",
    "starter_packs": """
        select 'at://did:plc:c/app.bsky.graph.starterpack/p' as uri,
            timestamptz '2026-02-01 23:00:00Z' + to_days({night}::int) as observed_at, 'starter_pack' as seed_type,
            'Data' as name, 'words' as description, 'did:plc:c' as creator_did, 'c.test' as creator_handle,
            null::varchar as list_uri, 200::bigint as list_item_count, 0::bigint as joined_week_count,
            0::bigint as joined_all_time_count, timestamptz '2024-01-01' as created_at,
            timestamptz '2024-01-01' as indexed_at, []::varchar[] as labels, true as is_membership_complete,
            null::varchar[] as issues, '' as raw, '{load_id}' as _dlt_load_id""",
}

FILES: Final = (
    "read_parquet('{lake}/author_feed/*/*.parquet', union_by_name = true, filename = true, file_row_number = true)"
)

PLAIN: Final = (
    """create table newest as
    select post_uri, filename, file_row_number, min(observed_at) over (partition by post_uri) as first_observed_at,
        bool_or(member_did = author_did) over (partition by post_uri) as is_own
    from {files}
    qualify row_number() over (
        partition by post_uri order by observed_at desc, filename desc, file_row_number desc) = 1""",
    """create table posts as
    select f.* exclude (raw, member_did, item_uri, item_at, item_indexed_at, reason_type, filename, file_row_number),
        least(created_at, post_indexed_at) as posted_at, length_grapheme(text) as text_length,
        regexp_extract(reply_parent_uri, '^at://(did:[^/]+)', 1) as reply_parent_did,
        regexp_extract(quoted_uri, '^at://(did:[^/]+)', 1) as quoted_did,
        case when reply_parent_uri is not null then 'reply' when quoted_uri is not null then 'quote' else 'original' end
            as kind,
        'https://bsky.app/profile/' || author_did || '/post/' || regexp_extract(post_uri, '/([^/]+)$', 1) as post_url,
        like_count + repost_count + reply_count + quote_count as engagement_count, first_observed_at, is_own,
        filename, file_row_number
    from {files} as f
    join newest using (post_uri, filename, file_row_number)""",
    """create table items as
    select member_did, item_uri, max(post_uri) as post_uri, max(author_did) as author_did,
        bool_or(reason_type = 'repost') as is_repost, arg_max(item_at, observed_at) as item_at,
        min(observed_at) as first_observed_at, max(observed_at) as last_observed_at
    from {files} group by member_did, item_uri""",
    """create table deletions as
    with pulls as (
        select member_did, observed_at, covered_to, reached_end,
            case when reached_end then timestamptz '0001-01-01' else covered_from end as covered_from
        from read_parquet('{lake}/feed_pulls/*/*.parquet') where outcome = 'ok'
    ),
    after as (
        select s.member_did, s.last_observed_at, min(covered_from) as covered_from
        from (select distinct member_did, last_observed_at from items) as s
        join pulls on s.member_did = pulls.member_did and s.last_observed_at < pulls.observed_at group by 1, 2
    )
    select item_uri, min(pulls.observed_at) as missed_at from items
    join after using (member_did, last_observed_at)
    join pulls on items.member_did = pulls.member_did and items.last_observed_at < pulls.observed_at
        and items.item_at > pulls.covered_from and items.item_at <= pulls.covered_to
    where items.item_at > after.covered_from group by item_uri""",
    """create table engagement as
    with seen as (
        select post_uri, observed_at, max(like_count) as likes, max(repost_count) as reposts,
            max(reply_count) as replies, max(quote_count) as quotes,
            max(bookmark_count) as bookmarks, max(filename) as filename
        from {files} group by 1, 2
    )
    select seen.*, posts.author_did, date_diff('second', posted_at, seen.observed_at) / 3600.0 as hours,
        likes + reposts + replies + quotes as engagement, lag(seen.observed_at) over w as previous_observed_at,
        likes - lag(likes) over w as like_change, reposts - lag(reposts) over w as repost_change,
        replies - lag(replies) over w as reply_change, quotes - lag(quotes) over w as quote_change,
        bookmarks - lag(bookmarks) over w as bookmark_change
    from seen join posts using (post_uri) where is_own
    window w as (partition by post_uri order by seen.observed_at)""",
    """create table reposts as
    select items.*, deletions.missed_at from items left join deletions using (item_uri) where is_repost""",
    """create table links as
    with facets as (select post_uri, author_did, posted_at, unnest(facets) as f from posts where is_own)
    select post_uri, f.value as link_uri, any_value(author_did) as author_did, any_value(posted_at) as posted_at,
        regexp_extract(lower(f.value), '^https?://(?:www[.])?([^/?#:]+)', 1) as domain
    from facets where f.feature = 'link' group by post_uri, f.value
    union all
    select post_uri, link_uri, author_did, posted_at,
        regexp_extract(lower(link_uri), '^https?://(?:www[.])?([^/?#:]+)', 1)
    from posts where link_uri is not null and is_own""",
    """create table hashtags as
    with facets as (select post_uri, author_did, posted_at, unnest(facets) as f from posts where is_own)
    select distinct post_uri, author_did, posted_at, lower(f.value) as hashtag from facets where f.feature = 'tag'""",
    """create table mentions as
    with facets as (select post_uri, author_did, posted_at, unnest(facets) as f from posts where is_own)
    select post_uri, author_did, posted_at, f.value as did, count(*) as n from facets where f.feature = 'mention'
    group by all""",
    """create table media as
    select post_uri, author_did, posted_at, unnest(media) as medium from posts where is_own and len(media) > 0""",
    """create table interactions as
    select post_uri, 'reply' as kind, author_did, reply_parent_did as did from posts
    where reply_parent_did != '' and is_own
    union all select post_uri, 'quote', author_did, quoted_did from posts where quoted_did != '' and is_own
    union all select post_uri, 'mention', author_did, did from mentions
    union all select item_uri, 'repost', member_did, author_did from items where is_repost""",
    """create table author_days as
    select author_did as did, posted_at::date as day, count(*) as posts, sum(engagement_count) as engagement
    from posts where is_own group by 1, 2
    union all select author_did, observed_at::date, count(*), sum(like_change) from engagement group by 1, 2""",
)

JSON_TEXT: Final = tuple(statement.replace("{files}", "{json}") for statement in PLAIN)
"""The same, over rows whose columns are taken out of the JSON text each time that they are asked for."""

JSON_ROWS: Final = """(
    select member_did, observed_at, filename, file_row_number, raw,
        coalesce(raw->>'$.reason.uri', raw->>'$.post.uri') as item_uri,
        (coalesce(raw->>'$.reason.indexedAt', raw->>'$.post.indexedAt'))::timestamptz as item_at,
        (raw->>'$.post.indexedAt')::timestamptz as item_indexed_at,
        case when raw->>'$.reason.uri' is not null then 'repost' end as reason_type,
        raw->>'$.post.uri' as post_uri, raw->>'$.post.cid' as post_cid,
        (raw->>'$.post.indexedAt')::timestamptz as post_indexed_at, raw->>'$.post.author.did' as author_did,
        raw->>'$.post.author.handle' as author_handle, (raw->>'$.post.record.createdAt')::timestamptz as created_at,
        raw->>'$.post.record.text' as text, raw->>'$.post.record.reply.parent.uri' as reply_parent_uri,
        null::varchar as quoted_uri, null::varchar as link_uri,
        null::struct(kind varchar, alt varchar)[] as media,
        list_transform(from_json(raw->'$.post.record.facets', '[{{"features":[{{"tag":"VARCHAR","uri":"VARCHAR"}}]}}]'),
            lambda f: {{'feature': case when f.features[1].tag is not null then 'tag' else 'link' end,
                       'value': coalesce(f.features[1].tag, f.features[1].uri)}}) as facets,
        (raw->>'$.post.likeCount')::bigint as like_count, (raw->>'$.post.repostCount')::bigint as repost_count,
        (raw->>'$.post.replyCount')::bigint as reply_count, (raw->>'$.post.quoteCount')::bigint as quote_count,
        0::bigint as bookmark_count
    from {files}
)"""


class Cost(NamedTuple):
    """What a way costs: seconds on the wall and of CPU, and megabytes at most."""

    wall: float
    cpu: float
    memory: int = 0

    def beyond(self, fixed: Cost) -> Cost:
        """Leave out what dbt itself costs."""
        return Cost(self.wall - fixed.wall, self.cpu - fixed.cpu, self.memory)

    def least(self, other: Cost) -> Cost:
        """Of two measurements of the same, what the machine's other work added least to."""
        return Cost(min(self.wall, other.wall), min(self.cpu, other.cpu), max(self.memory, other.memory))

    def share_of(self, other: Cost) -> str:
        """Say what share of another cost this is."""
        return f"{self.wall / other.wall:.1%}, {self.cpu / other.cpu:.1%} of CPU"

    def __str__(self) -> str:
        return f"{self.wall:6.1f} s, {self.cpu:6.1f} s of CPU"


def make_lake(lake: Path, *, items: int, members: int, nights: int) -> int:
    """Write a lake: one long first night, then nights that see the last week again. Returns the rows of author_feed."""
    per_night = 35
    first = items // members - per_night * (nights - 1)
    spacing = 86_400 // 5
    written = 0
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        for number in range(nights):
            # Item 0 is the newest of the first night; later ones count down.
            newest = -5 * number
            count = first if number == 0 else per_night
            load_id = f"{1769990400 + 86400 * number}.5"
            values = {"night": number, "members": members, "load_id": load_id, "spacing": spacing}
            keys = {"tid_of_item": TID.format(time="item_at"), "tid_of_post": TID.format(time="posted_at")}
            path = lake / "author_feed" / f"night{number:03}" / f"{load_id}.aaaa.parquet"
            path.parent.mkdir(parents=True)
            query = ITEMS.format(**values, **keys, first_item=newest, last_item=newest + count, path=path)
            written += connection.execute(query).fetchall()[0][0]
            for table, query in OTHERS.items():
                path = lake / table / f"night{number:03}" / f"{load_id}.aaaa.parquet"
                path.parent.mkdir(parents=True)
                connection.execute(f"copy ({query.format(**values)}) to '{path}' (format parquet, compression zstd)")
            state = lake / "_dlt_pipeline_state" / f"bluesky__{load_id}__abcdef.jsonl"
            state.parent.mkdir(parents=True, exist_ok=True)
            state.write_text("{}")
    return written


def run_dbt(folder: Path, warehouse: str, *arguments: str) -> Cost:
    """Run dbt in a process of its own; seconds to run the models, seconds of CPU in all, and peak memory in MB."""
    environment = {name: value for name, value in os.environ.items() if "__" not in name} | {
        "DLT_PROJECT_DIR": str(folder),
        "DLT_LOCAL_DIR": str(folder),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "PIPELINES__BLUESKY__WAREHOUSE": f"{warehouse}/bluesky.duckdb",
        "WAREHOUSE__MEMORY_LIMIT": MEMORY_LIMIT,
    }
    command = [str(Path(sys.executable).with_name("dbt")), "--quiet", *arguments]
    with subprocess.Popen(command, cwd=PROJECT_ROOT / "dbt", env=environment) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"dbt failed: {' '.join(command)}")
    results = json.loads((folder / "target" / "run_results.json").read_text())
    return Cost(float(results["elapsed_time"]), usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024)


def run_sql(lake: Path, folder: Path, statements: tuple[str, ...]) -> Cost:
    """Make the marts with plain SQL in a new warehouse."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = FILES.format(lake=lake)
    begun, cpu = time.monotonic(), time.process_time()
    with duckdb.connect(str(folder / "plain.duckdb"), config={"memory_limit": MEMORY_LIMIT}) as connection:
        connection.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
        for statement in statements:
            json_rows = JSON_ROWS.format(files=files)
            connection.execute(statement.format(files=files, lake=lake, json=json_rows))
    return Cost(time.monotonic() - begun, time.process_time() - cpu)


def run_report(warehouse: Path) -> Cost:
    """Make the page of a warehouse, beside it."""
    begun, cpu = time.monotonic(), time.process_time()
    build_report(warehouse, warehouse.with_name("report.html"), MEMORY_LIMIT)
    return Cost(time.monotonic() - begun, time.process_time() - cpu)


class Nights:
    """A project whose newest night can be taken away and given back, with a warehouse for each way to run dbt."""

    def __init__(self, folder: Path, lake: Path) -> None:
        self._folder, self._lake = folder, lake
        self._aside = folder / "aside"
        self._aside.mkdir()
        self._last = max(path.name for path in (lake / "author_feed").iterdir())
        self._tables = [table for table in lake.iterdir() if (table / self._last).exists()]

    def take_last_away(self) -> None:
        """Leave a lake as it was before its last night."""
        for table in self._tables:
            (table / self._last).rename(self._aside / table.name)

    def give_last_back(self) -> None:
        """Let the last night come."""
        for table in self._tables:
            (self._aside / table.name).rename(table / self._last)

    def run_last(self, warehouse: str, *command: str) -> Cost:
        """Run dbt on the last night, on a copy of the warehouse, which stays as it was before."""
        shutil.copytree(self._folder / warehouse, self._folder / "night", dirs_exist_ok=True)
        # Else the system writes the copy during the night, and counts that as the night's.
        os.sync()
        return run_dbt(self._folder, "night", *command)


def main() -> None:
    """Make the lake, run each way, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=8, help="how often what is short is measured")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--without-json", action="store_true", help="leave the slow one out")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    for name in ("bench", "empty"):
        (folder / name / ".dlt").mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", folder / name / ".dlt")
    bench, empty = folder / "bench", folder / "empty"
    lake = bench / "_data" / "lake" / "bluesky"
    rows = make_lake(lake, items=options.items, members=options.members, nights=options.nights)
    core, models = ("run", "--select", "+path:models/marts/core"), ("run",)
    as_the_job = ("build", "--exclude-resource-type=unit_test")

    fixed_core = run_dbt(empty, "core", *core)
    fixed = run_dbt(empty, "models", *models)
    full_core = run_dbt(bench, "core", *core).beyond(fixed_core)

    nights = Nights(bench, lake)
    nights.take_last_away()
    full = run_dbt(bench, "models", *models)
    full_job = run_dbt(bench, "job", *as_the_job)
    nights.give_last_back()
    fixed_night = run_dbt(empty, "models", *models)
    night = nights.run_last("models", *models)
    night_job = nights.run_last("job", *as_the_job)
    for _ in range(options.rounds - 1):
        fixed_night = fixed_night.least(run_dbt(empty, "models", *models))
        night = night.least(nights.run_last("models", *models))
        night_job = night_job.least(nights.run_last("job", *as_the_job))
    plain = run_sql(lake, folder / "plain", PLAIN)

    print(f"{rows:,} feed items of {options.members} members in {options.nights} nights; {MEMORY_LIMIT} for DuckDB")
    print(f"dbt itself, empty lake    {fixed}; a second run {fixed_night}")
    print(f"core marts, dbt           {full_core} beyond that, {full_core.memory} MB at most")
    print(f"core marts, plain SQL     {plain}: dbt takes {full_core.cpu / plain.cpu:.2f} of its CPU")
    if not options.without_json:
        slow = run_sql(lake, folder / "json", JSON_TEXT)
        print(f"core marts, JSON text     {slow}: {slow.cpu / full_core.cpu:.1f} times dbt's CPU")
    print(f"all models, first build   {full.beyond(fixed)} beyond that, {full.memory} MB at most")
    print(f"all models, one night     {night.beyond(fixed_night)} beyond that, {night.memory} MB at most")
    print(f"a night is {night.beyond(fixed_night).share_of(full.beyond(fixed))} of a first build")
    print(f"dbt included, first build {full}")
    print(f"dbt included, one night   {night}: {night.share_of(full)}")
    print(f"and dbt's tests, first    {full_job}")
    print(f"and dbt's tests, night    {night_job}: {night_job.share_of(full_job)}")
    print(f"the page                  {run_report(bench / 'night' / 'bluesky.duckdb')}")
    if options.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
