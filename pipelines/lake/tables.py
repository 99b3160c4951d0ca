"""The contract of the raw layer: one Arrow schema for each table that the pull or the live job writes.

Tables are append-only. A row says what was seen, and when (`observed_at`); dlt adds `_dlt_load_id`, the load that
brought it. Times are UTC with a zone. Columns that come from other people's records are nullable: a value that does
not fit leaves its column null, stays in `raw`, and is named in `issues` by its path in the item.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import pyarrow as pa

UTC_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
STRINGS: Final = pa.list_(pa.string())
SOURCE_FILE: Final = "_source_file"
SOURCE_ROW: Final = "_source_row"
"""Columns of compacted files alone: in which file of the lake, and as which of its rows, dlt wrote the row."""
FACETS: Final = pa.list_(
    pa.struct(
        [
            ("feature", pa.string()),
            ("value", pa.string()),
            ("byte_start", pa.int64()),
            ("byte_end", pa.int64()),
        ]
    )
)
MEDIA: Final = pa.list_(pa.struct([("kind", pa.string()), ("alt", pa.string())]))
PROFILE_LINKS: Final = pa.list_(pa.struct([("url", pa.string()), ("title", pa.string()), ("labels", STRINGS)]))


class HiddenBecause(StrEnum):
    """Why a service hides a member: the values of `starter_pack_members.hidden_because`."""

    OPTED_OUT = "opted_out"
    OPT_OUT_UNKNOWN = "opt_out_unknown"
    BLOCKS_CREATOR = "blocks_creator"
    BLOCKED_BY_CREATOR = "blocked_by_creator"
    UNAVAILABLE = "unavailable"

    def is_followed(self, *, follow_blocked: bool) -> bool:
        """Tell whether the jobs read what a member writes whom the service hides for this reason.

        Args:
            follow_blocked: Whether the settings want those in a block relation with the list's creator.
        """
        is_block = self in {HiddenBecause.BLOCKS_CREATOR, HiddenBecause.BLOCKED_BY_CREATOR}
        return self is HiddenBecause.UNAVAILABLE or (is_block and follow_blocked)


@dataclass(frozen=True)
class RawTable:
    """One table of the raw layer.

    Attributes:
        name: Its name in the lake.
        description: What one row is.
        key: The columns that name a row; what is seen twice in one run, or loaded twice after a crash, has equal keys.
        schema: Its columns. The metadata of each field holds its `description`.
        whose: The columns that say whose row it is, by DID or by a URI in their repository. It goes when they are
            forgotten.
    """

    name: str
    description: str
    key: tuple[str, ...]
    schema: pa.Schema
    whose: tuple[str, ...] = ()

    def column_description(self, column: str) -> str:
        """Say what a column holds."""
        metadata = self.schema.field(column).metadata or {}
        return metadata[b"description"].decode()


def _column(name: str, data_type: pa.DataType, description: str) -> pa.Field[pa.DataType]:
    return pa.field(name, data_type, metadata={"description": description})


def _required(name: str, data_type: pa.DataType, description: str) -> pa.Field[pa.DataType]:
    return _column(name, data_type, description).with_nullable(False)


_OBSERVED_AT = _required("observed_at", UTC_TIMESTAMP, "When this run asked for it.")
_ISSUES = _column(
    "issues", STRINGS, "JSON paths of the values that did not fit their columns, with the reason; null when all did."
)
_RAW = _column("raw", pa.string(), "The item's own JSON, byte for byte as it was served.")
_SEED_TYPE = _required("seed_type", pa.string(), "What the configuration named: starter_pack, list or actor.")

_CONTENT: Final = (
    _column("text", pa.string(), "Text of the post."),
    _column("langs", STRINGS, "Languages the author's client claims, as BCP-47 tags."),
    _column("tags", STRINGS, "Tags of the record that are not in the text."),
    _column(
        "facets",
        FACETS,
        "Features of the text, in order: `mention` (value: DID), `link` (URI), `tag` (without #), or another"
        " feature's full type (value null). Offsets count UTF-8 bytes.",
    ),
    _column("reply_parent_uri", pa.string(), "URI of the post this one answers."),
    _column("reply_root_uri", pa.string(), "URI of the first post of the thread."),
    _column("embed_type", pa.string(), "Full type of the record's embed, e.g. `app.bsky.embed.images`."),
    _column("quoted_uri", pa.string(), "URI of the embedded record: a quoted post, or a list, feed or pack."),
    _column("link_uri", pa.string(), "Address of the link card."),
    _column("link_title", pa.string(), "Title of the link card."),
    _column("link_description", pa.string(), "Description of the link card."),
    _column("media", MEDIA, "Pictures and videos in order: kind `image` or `video`, and the alt text."),
)
"""What a post record says, in a feed item and in an event alike."""

STARTER_PACKS: Final = RawTable(
    "starter_packs",
    "A starter pack, or a plain list that is followed like one, as seen by one run.",
    ("uri", "observed_at"),
    pa.schema(
        [
            _required("uri", pa.string(), "at:// URI of the pack (of the list, when a plain list is followed)."),
            _OBSERVED_AT,
            _SEED_TYPE,
            _column("name", pa.string(), "Name of the pack."),
            _column("description", pa.string(), "What its creator says of the pack."),
            _column("creator_did", pa.string(), "DID of the pack's creator."),
            _column("creator_handle", pa.string(), "Handle of the pack's creator at observed_at."),
            _column("list_uri", pa.string(), "at:// URI of the list that holds the members."),
            _column("list_item_count", pa.int64(), "Members by the service's count; includes those it does not show."),
            _column("joined_week_count", pa.int64(), "People who joined Bluesky through the pack in the last week."),
            _column("joined_all_time_count", pa.int64(), "People who ever joined Bluesky through the pack."),
            _column("created_at", UTC_TIMESTAMP, "When its creator says the pack was made."),
            _column("indexed_at", UTC_TIMESTAMP, "When the service indexed the pack."),
            _column("labels", STRINGS, "Values of the labels on the pack."),
            _required(
                "is_membership_complete",
                pa.bool_(),
                "Whether this run read every membership of the pack, those of hidden members too. Only then does"
                " a member's absence mean that they left.",
            ),
            _ISSUES,
            _RAW,
        ]
    ),
    whose=("creator_did", "uri", "list_uri"),
)

STARTER_PACK_MEMBERS: Final = RawTable(
    "starter_pack_members",
    "A member of a pack, as seen by one run. Somebody in two packs has two rows.",
    ("pack_uri", "did", "observed_at"),
    pa.schema(
        [
            _required(
                "pack_uri",
                pa.string(),
                "at:// URI of the pack, or of the plain list; `at://<did>` for an actor whom the settings name.",
            ),
            _required("did", pa.string(), "The member's DID."),
            _OBSERVED_AT,
            _SEED_TYPE,
            _column("list_item_uri", pa.string(), "at:// URI of the listitem record; null for an actor."),
            _required(
                "is_listed",
                pa.bool_(),
                "Whether the service showed the member. False: the creator's own records name them, but the service"
                " hides them; `hidden_because` says why.",
            ),
            _column(
                "hidden_because",
                pa.string(),
                "Why the service hides the member: `opted_out` (their own repository has a record"
                " `app.bsky.graph.referencelistoptout` for this list or pack), `opt_out_unknown` (their server could"
                " not be asked for one, or nothing explains it: counts as opted out), `blocks_creator`,"
                " `blocked_by_creator`, `unavailable` (deactivated, suspended or gone). Null where listed.",
            ),
            _column("handle", pa.string(), "Handle at observed_at; null when hidden."),
            _column("display_name", pa.string(), "Display name at observed_at."),
            _column("labels", STRINGS, "Values of the labels on the member's account and profile."),
            _ISSUES,
            _RAW,
        ]
    ),
    whose=("did", "pack_uri"),
)

PROFILES: Final = RawTable(
    "profiles",
    "The detailed profile of a member, or of somebody whom three or more members follow, as seen by one run. Who is"
    " unavailable has none.",
    ("did", "observed_at"),
    pa.schema(
        [
            _required("did", pa.string(), "The member's DID."),
            _OBSERVED_AT,
            _column("handle", pa.string(), "Handle at observed_at; may be `handle.invalid`."),
            _column("display_name", pa.string(), "Display name; null where there is no profile record."),
            _column("description", pa.string(), "What the member says of themself."),
            _column("avatar_url", pa.string(), "Address of the picture."),
            _column(
                "links",
                PROFILE_LINKS,
                "What the member links to, in order: the address as they wrote it, of any scheme, its title, and the"
                " values of the labels on the link.",
            ),
            _column("followers_count", pa.int64(), "Followers of the account."),
            _column("follows_count", pa.int64(), "Accounts that the member follows."),
            _column("posts_count", pa.int64(), "Posts and replies, by the service's count; no reposts."),
            _column("pinned_post_uri", pa.string(), "at:// URI of the post that the member pinned."),
            _column("joined_via_pack_uri", pa.string(), "Starter pack through which the member joined Bluesky."),
            _column("created_at", UTC_TIMESTAMP, "When the account says it was made."),
            _column("indexed_at", UTC_TIMESTAMP, "When the service indexed the profile record."),
            _column(
                "labels", STRINGS, "Values of the labels on account and profile, `!no-unauthenticated` and `bot` too."
            ),
            _ISSUES,
            _RAW,
        ]
    ),
    whose=("did",),
)

AUTHOR_FEED: Final = RawTable(
    "author_feed",
    "An item of a member's feed (own post, reply, quote, repost), as seen by one run, with its counts at that moment.",
    ("member_did", "item_uri", "observed_at"),
    pa.schema(
        [
            _required(
                "member_did",
                pa.string(),
                "DID of the member whose feed it is; the reposter of a repost. Of a post that no feed showed, but that"
                " was asked for, or that quotes or answers a member's: its author.",
            ),
            _OBSERVED_AT,
            _column(
                "item_uri", pa.string(), "URI of the repost record for a repost, else of the post. Null: see `raw`."
            ),
            _column(
                "item_at",
                UTC_TIMESTAMP,
                "The time the feed is ordered by: when the repost was indexed, else the earlier of post_indexed_at and"
                " created_at.",
            ),
            _column("item_indexed_at", UTC_TIMESTAMP, "When the repost was indexed, else post_indexed_at."),
            _column(
                "reason_type",
                pa.string(),
                "`repost`, `pin`, another full type, `unknown` if it cannot be read, or null for an own post.",
            ),
            _column("post_uri", pa.string(), "URI of the post; somebody else's, in a repost."),
            _column("post_cid", pa.string(), "CID of the post record: the version. An edit changes it."),
            _column("post_indexed_at", UTC_TIMESTAMP, "When the service indexed the post."),
            _column("author_did", pa.string(), "DID of the post's author."),
            _column("author_handle", pa.string(), "Handle of the post's author at observed_at."),
            _column("author_display_name", pa.string(), "Display name of the post's author at observed_at."),
            _column("author_labels", STRINGS, "Values of the labels on the author, `!no-unauthenticated` too."),
            _column("created_at", UTC_TIMESTAMP, "When the author's client says the post was written."),
            *_CONTENT,
            _column("like_count", pa.int64(), "Likes of the post at observed_at."),
            _column("repost_count", pa.int64(), "Reposts of the post at observed_at."),
            _column("reply_count", pa.int64(), "Replies of the post at observed_at."),
            _column("quote_count", pa.int64(), "Quotes of the post at observed_at."),
            _column("bookmark_count", pa.int64(), "Bookmarks of the post at observed_at."),
            _column("labels", STRINGS, "Values of the labels that labelers put on the post."),
            _column("self_labels", STRINGS, "Values of the labels that the author put on the post."),
            _ISSUES,
            _RAW,
        ]
    ),
    whose=("member_did",),
)

FEED_PULLS: Final = RawTable(
    "feed_pulls",
    "One member in one run: how the walk through their feed ended and what it covers.",
    ("member_did", "observed_at"),
    pa.schema(
        [
            _required("member_did", pa.string(), "DID of the member whose feed was read."),
            _required(
                "observed_at", UTC_TIMESTAMP, "When the walk began; the same on each author_feed row it brought."
            ),
            _required(
                "outcome",
                pa.string(),
                "`ok`, `deactivated`, `suspended`, `not_found`, `blocked`, or `failed` (for our reasons: asked again).",
            ),
            _column("error", pa.string(), "What the service or the network said; null when all was well."),
            _required("page_count", pa.int64(), "Feed pages that were read."),
            _required(
                "item_count", pa.int64(), "Items that were stored: what is older than the walk goes is left out."
            ),
            _required("new_item_count", pa.int64(), "Items indexed after cursor_before; all of them on a first walk."),
            _column(
                "covered_from",
                UTC_TIMESTAMP,
                "Every item that the feed places after this and up to covered_to was read and stored. Null when nothing"
                " is claimed, or when a feed that was read to its end is empty.",
            ),
            _column("covered_to", UTC_TIMESTAMP, "The newest time covered: observed_at. Null as covered_from."),
            _required(
                "reached_end",
                pa.bool_(),
                "Whether the feed was read to its end and all of it stored, so that the claim extends to all that is"
                " older, and to items without an item_at. False where the end is doubted: the walk saw fewer or more"
                " posts than the service counts, and did not pass an end that is known.",
            ),
            _column(
                "posts_count", pa.int64(), "Posts and replies of the member at observed_at, by the service's count."
            ),
            _column("cursor_before", UTC_TIMESTAMP, "The member's cursor before the walk; null on a first walk."),
            _column("cursor_after", UTC_TIMESTAMP, "The cursor after it: the newest item_indexed_at seen."),
        ]
    ),
    whose=("member_did",),
)

RECORD_CHECKS: Final = RawTable(
    "record_checks",
    "One record that was asked for, since a feed did not show it or an audit compared it, and what those said who"
    " know: the service, what it shows; the author's repository, what exists. Marts call a record gone by these answers"
    " and by events alone. A post that the service shows is a row of author_feed too, with its counts.",
    ("uri", "observed_at"),
    pa.schema(
        [
            _required("uri", pa.string(), "at:// URI of the record."),
            _required("did", pa.string(), "Whose repository holds it, or held it."),
            _required("collection", pa.string(), "Type of the record, e.g. `app.bsky.feed.post`."),
            _OBSERVED_AT,
            _required(
                "asked_because",
                pa.string(),
                "`absent_from_feed`: a walk that read its place did not find it; `seen_live_only`: no pull has ever"
                " found it; `audit`: the repository and the lake differ; `named_in_file`: `--posts` was given its URI.",
            ),
            _required(
                "outcome",
                pa.string(),
                "`shown`: the service shows the post; `in_repository`: the repository has the record, which is all that"
                " can be asked of a repost; `hidden_by_service`: the repository has the post, the service does not show"
                " it; `record_gone`: the repository was asked and does not have it; `account_unavailable`: the server"
                " does not serve this repository now; `unknown`: nobody who knows could be asked.",
            ),
            _column("error", pa.string(), "What the service, the server or the network said, where it was no answer."),
            _column("cid", pa.string(), "CID of the version that the repository has."),
            _column("created_at", UTC_TIMESTAMP, "When the author's client says the record was written."),
            _column("subject_uri", pa.string(), "What a repost is of: at:// URI."),
            _ISSUES,
            _column("raw", pa.string(), "The record's own JSON, as the repository gave it."),
        ]
    ),
    whose=("did",),
)

FEED_AUDITS: Final = RawTable(
    "feed_audits",
    "One member's repository held against the lake: all of their posts and reposts, by a list that is proved.",
    ("member_did", "observed_at"),
    pa.schema(
        [
            _required("member_did", pa.string(), "DID of the member whose repository was read."),
            _required("observed_at", UTC_TIMESTAMP, "When the audit of the member began."),
            _required(
                "outcome",
                pa.string(),
                "`verified`: the commit's signature and the tree prove the list; `unchanged`: the repository is still"
                " at the revision of the last audit, and that was whole; `listed`: the server gives lists and no"
                " repository, so nothing is proved; `refused`: what was served does not prove what it says (see error);"
                " `unavailable`: the server does not serve it now; `failed`: for our reasons; asked again.",
            ),
            _column("error", pa.string(), "Why it is not verified; null when it is."),
            _column("rev", pa.string(), "Revision of the repository: a TID that grows with each of its commits."),
            _column("commit_cid", pa.string(), "CID of the signed commit."),
            _column(
                "record_counts",
                pa.list_(pa.struct([("collection", pa.string()), ("record_count", pa.int64())])),
                "Records of the repository by collection.",
            ),
            _column("expected_count", pa.int64(), "Posts and reposts that the repository has."),
            _column("present_count", pa.int64(), "Those of them that the lake had, in this version."),
            _column("missing_count", pa.int64(), "Those that the lake did not have, or in another version."),
            _column("healed_count", pa.int64(), "Missing ones that the audit has brought into the lake."),
            _column("hidden_count", pa.int64(), "Missing posts that the repository has and the service does not show."),
            _column(
                "unreadable_count",
                pa.int64(),
                "Missing ones that nobody could give in this version; each is in record_checks, as `shown` where the"
                " service shows another version.",
            ),
            _column("gone_count", pa.int64(), "Records of the lake that the repository has no more."),
            _column(
                "audited_collections",
                STRINGS,
                "Types of records beside posts and reposts that were held against the lake, too: what it lacked, and"
                " what is gone, is in member_records. Null where nothing proves it.",
            ),
        ]
    ),
    whose=("member_did",),
)

MEMBER_RECORDS: Final = RawTable(
    "member_records",
    "A record beside posts and reposts (a follow, a like) that an audit found in a member's repository and the lake did"
    " not know, or one that the lake knew and the repository has no more. Only of repositories that are proved.",
    ("uri", "observed_at"),
    pa.schema(
        [
            _required("uri", pa.string(), "at:// URI of the record."),
            _required("member_did", pa.string(), "DID of the member in whose repository it is, or was."),
            _required("collection", pa.string(), "Type of the record, e.g. `app.bsky.graph.follow`."),
            _required("observed_at", UTC_TIMESTAMP, "When the audit of the member began."),
            _required(
                "rev", pa.string(), "Revision of the repository that shows it: a TID that grows with each commit."
            ),
            _required("is_gone", pa.bool_(), "Whether the repository has the record no more; then the rest is null."),
            _column("cid", pa.string(), "CID of the record: the version."),
            _column("subject_did", pa.string(), "Whom a follow names; whose post, by its URI, a like is of."),
            _column("subject_uri", pa.string(), "What a like is of: at:// URI."),
            _column("subject_cid", pa.string(), "CID of what a like is of: the version that was liked."),
            _column(
                "via_uri", pa.string(), "Through what it was found, by the client's word: a repost, a starter pack."
            ),
            _column("created_at", UTC_TIMESTAMP, "When the author's client says the record was written."),
            _ISSUES,
            _column("raw", pa.string(), "The record's own JSON, written from the CBOR that the repository has."),
        ]
    ),
    whose=("member_did",),
)

REACTIONS: Final = RawTable(
    "reactions",
    "Somebody's like or repost of a post, as the service listed it when it was asked who reacts. That it is listed no"
    " more is claimed only of a list that was read to its end: see audience_pulls. Quotes and replies have words: they"
    " are rows of author_feed.",
    ("post_uri", "kind", "actor_did", "observed_at"),
    pa.schema(
        [
            _required("post_uri", pa.string(), "at:// URI of the post."),
            _required("kind", pa.string(), "`like` or `repost`."),
            _required("actor_did", pa.string(), "DID of whoever likes or reposted it, a member or not."),
            _required("observed_at", UTC_TIMESTAMP, "When the list was asked for: as in audience_pulls."),
            _column("actor_handle", pa.string(), "Their handle at observed_at; may be `handle.invalid`."),
            _column("actor_display_name", pa.string(), "Their display name at observed_at."),
            _column("actor_labels", STRINGS, "Values of the labels on their account and profile."),
            _column("created_at", UTC_TIMESTAMP, "When their client says they liked it. Of a repost, nobody tells."),
            _column("indexed_at", UTC_TIMESTAMP, "When the service indexed the like. Of a repost, nobody tells."),
            _ISSUES,
        ]
    ),
    whose=("actor_did", "post_uri"),
)

AUDIENCE_PULLS: Final = RawTable(
    "audience_pulls",
    "One asking about the audience: who likes, reposted, quoted or answered a post, or what posts and people are that"
    " members like and follow. How far it was read, so that only what was read whole says that something is not there.",
    ("kind", "subject_uri", "observed_at"),
    pa.schema(
        [
            _required(
                "kind",
                pa.string(),
                "What was asked for: `like`, `repost`, `quote` or `reply` of a post; `post` or `profile`: posts that"
                " members like and people whom they follow, 25 in one asking.",
            ),
            _required("subject_uri", pa.string(), "at:// URI of the post; of 25, the first one's, or `at://<did>`."),
            _required("observed_at", UTC_TIMESTAMP, "When it began; the same on each row that it brought."),
            _required(
                "is_whole",
                pa.bool_(),
                "Whether all was read that the service shows. False where pages are missing, and where a conversation"
                " goes on deeper than was asked for.",
            ),
            _required("page_count", pa.int64(), "Pages that were read."),
            _required("item_count", pa.int64(), "Reactions, posts or people that were stored."),
            _column("known_count", pa.int64(), "How many the service had counted, when the post was last seen before."),
            _column("error", pa.string(), "What the service or the network said; null when all was well."),
        ]
    ),
    whose=("subject_uri",),
)

REPO_EVENTS: Final = RawTable(
    "repo_events",
    "An event of a repository, as a feed of the live job delivered it: a record created, updated or deleted, a new"
    " handle, a new status. Feeds deliver at least once: what came twice, or through two feeds, has equal keys.",
    ("kind", "did", "collection", "rkey", "rev", "operation", "event_at"),
    pa.schema(
        [
            _required(
                "kind",
                pa.string(),
                "`commit`, `identity`, `account`, `sync`, or `unreadable` for what came as an event and cannot be read"
                " (see `raw`).",
            ),
            _column("did", pa.string(), "Whose repository; null only for what is unreadable."),
            _column(
                "event_at",
                UTC_TIMESTAMP,
                "When it happened: when the network saw it, else the time of `rev`, else observed_at. It belongs"
                " to the key of events other than commits only: feeds may tell different times of the same commit.",
            ),
            _column("rev", pa.string(), "Revision of the repository: a TID that grows with each of its commits."),
            _column("operation", pa.string(), "Of a commit: `create`, `update` or `delete`."),
            _column("collection", pa.string(), "Of a commit: type of the record, e.g. `app.bsky.feed.post`."),
            _column("rkey", pa.string(), "Of a commit: key of the record in its collection."),
            _column("uri", pa.string(), "Of a commit: at:// URI of the record."),
            _column("cid", pa.string(), "Of a commit: CID of the record, its version. Null for a delete."),
            _column("handle", pa.string(), "Of an identity event: the handle, where the feed knows it."),
            _column("is_active", pa.bool_(), "Of an account event: whether the account may be shown."),
            _column(
                "status",
                pa.string(),
                "Of an account that is not active: `takendown`, `suspended`, `deleted`, `deactivated`, or another"
                " word.",
            ),
            _required("feed", pa.string(), "What delivered it: `jetstream`, `firehose`, `webhook` or `kafka`."),
            _required("service", pa.string(), "Whose feed: a host, or a topic."),
            _required(
                "position", pa.int64(), "Its number in that feed: sequence, microseconds or offset; not always unique."
            ),
            _required("observed_at", UTC_TIMESTAMP, "When the live job received it."),
            _column("created_at", UTC_TIMESTAMP, "When the author's client says the record was written."),
            _column(
                "subject_uri",
                pa.string(),
                "What a repost or like is of (at:// URI), or whom a follow, block or list item names (DID).",
            ),
            *_CONTENT,
            _column(
                "self_labels",
                STRINGS,
                "Values of the labels that the author put on the record; of a profile, `!no-unauthenticated` too.",
            ),
            _ISSUES,
            _column(
                "raw",
                pa.string(),
                "Of a commit, the record's own JSON; of other events, the event's; of what is unreadable, whatever"
                " came. As the feed delivered it; the firehose's CBOR is written in the data model's JSON.",
            ),
        ]
    ),
    whose=("did",),
)

REPO_EVENT_GAPS: Final = RawTable(
    "repo_event_gaps",
    "A stretch of time that a feed of the live job did not deliver and will not: the next pull fills it.",
    ("feed", "service", "observed_at", "reason", "position_before", "position_after"),
    pa.schema(
        [
            _required("feed", pa.string(), "Which feed: `jetstream`, `firehose`, `webhook` or `kafka`."),
            _required("service", pa.string(), "Whose feed: a host, or a topic."),
            _required("observed_at", UTC_TIMESTAMP, "When the live job noticed it."),
            _column("gap_from", UTC_TIMESTAMP, "Time of the last event before the gap."),
            _column("gap_to", UTC_TIMESTAMP, "Time of the first event after the gap."),
            _required("reason", pa.string(), "What happened, for people."),
            _column("position_before", pa.int64(), "Position of the last event before the gap."),
            _column("position_after", pa.int64(), "Position of the first event after the gap."),
        ]
    ),
)

RAW_TABLES: Final = (STARTER_PACKS, STARTER_PACK_MEMBERS, PROFILES, AUTHOR_FEED, FEED_PULLS)

CHECK_TABLES: Final = (RECORD_CHECKS, FEED_AUDITS, MEMBER_RECORDS, REACTIONS, AUDIENCE_PULLS)

LIVE_TABLES: Final = (REPO_EVENTS, REPO_EVENT_GAPS)
