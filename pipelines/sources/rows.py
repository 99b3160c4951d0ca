"""Turns items, as the services send them, into rows of the raw layer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from pipelines.lake.forgotten import forgotten
from pipelines.lake.scrubbing import table_of
from pipelines.network import lexicon
from pipelines.network.identifiers import is_did

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa
    from dlt.common.schema.typing import TTableSchemaColumns

    from pipelines.lake.tables import RawTable

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ROWS_PER_TABLE: Final = 500
"""About so many rows go to dlt in one table: fewer cost it more CPU a row, more take more memory."""

FARTHEST_AHEAD: Final = timedelta(days=1)
"""How far ahead of its observation a time may be. Clients' clocks run fast, and zones are mistaken; what is further
ahead is no time of anything, and would be the newest for as long."""

_REASONS = {"app.bsky.feed.defs#reasonRepost": "repost", "app.bsky.feed.defs#reasonPin": "pin"}


def arrow_table(table: RawTable, rows: Sequence[Row]) -> pa.Table:
    """Put rows into a table of the raw layer.

    Args:
        table: Which table.
        rows: Its columns by name; missing ones are null. Times are microseconds since 1970, UTC.

    All rows pass here on their way to the lake, so here whoever is forgotten is kept out of them.

    Returns:
        An Arrow table with the schema of `table`.
    """
    arrow = table_of(rows, table.schema)
    scrubber = forgotten().scrubber
    return arrow if scrubber is None else scrubber.table(table, arrow)


def resource_hints(table: RawTable) -> dict[str, Any]:
    """Give dlt the contract of a table: its columns' names, order, nullability and descriptions."""
    columns: TTableSchemaColumns = {
        column.name: {
            "name": column.name,
            "nullable": column.nullable,
            "description": table.column_description(column.name),
        }
        for column in table.schema
    }
    return {"name": table.name, "table_name": table.name, "columns": columns, "file_format": "parquet"}


def microseconds(time: datetime) -> int:
    """Count the microseconds from 1970 to a time with a zone."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(time: int) -> datetime:
    """Turn microseconds since 1970 into a UTC time."""
    return _EPOCH + time * _MICROSECOND


def _time(value: str | None, path: str, issues: list[str], observed_at: datetime) -> int | None:
    if value is None:
        return None
    time = lexicon.parse_datetime(value)
    if time is None:
        issues.append(f"{path}: not a datetime")
        return None
    if is_far_ahead(time, observed_at):
        issues.append(f"{path}: more than a day ahead of the observation")
        return None
    return microseconds(time)


def is_far_ahead(time: datetime, observed_at: datetime) -> bool:
    """Tell whether a time lies too far ahead of its observation to be one."""
    return time - observed_at > FARTHEST_AHEAD


def _label_values(labels: list[lexicon.Label | None] | None) -> list[str] | None:
    """Give the values of the labels that stand."""
    if labels and any(label and label.neg for label in labels):
        labels = _not_negated(labels)
    return _values(labels)


def _not_negated(labels: list[lexicon.Label | None]) -> list[lexicon.Label | None]:
    """Leave out negations and what they negate: the newest label of a source, subject and value decides."""
    newest: dict[tuple[str | None, ...], lexicon.Label] = {}
    for label in filter(None, labels):
        known = newest.setdefault(_key_of(label), label)
        if _made_at(label) >= _made_at(known):
            newest[_key_of(label)] = label
    return [label for label in labels if label is None or not newest[_key_of(label)].neg]


def _key_of(label: lexicon.Label) -> tuple[str | None, ...]:
    return label.src, label.uri, label.val


def _made_at(label: lexicon.Label) -> datetime:
    return (lexicon.parse_datetime(label.cts) if label.cts else None) or _EPOCH


def _values(labels: list[lexicon.Label | None] | None) -> list[str] | None:
    return _without_nulls(None if labels is None else [label.val if label else None for label in labels])


def _labels_of_labelers(post: lexicon.PostView, author: lexicon.Actor) -> list[lexicon.Label | None] | None:
    """Leave out the author's own labels, which the view repeats from the record."""
    if not post.labels or author.did is None:
        return post.labels
    return [label for label in post.labels if label is None or label.src != author.did]


def _facets(facets: Iterable[lexicon.Facet | None]) -> list[tuple[str | None, str | None, int | None, int | None]]:
    rows: list[tuple[str | None, str | None, int | None, int | None]] = []
    for facet in facets:
        if facet is None:
            continue
        index = facet.index or lexicon.ByteSlice()
        for feature in facet.features or ():
            if feature is None:
                continue
            kind, value = _feature(feature)
            rows.append((kind, value, index.byte_start, index.byte_end))
    return rows


def _feature(feature: lexicon.FacetFeature) -> tuple[str | None, str | None]:
    match feature.type:
        case "app.bsky.richtext.facet#mention":
            return "mention", feature.did
        case "app.bsky.richtext.facet#link":
            return "link", feature.uri
        case "app.bsky.richtext.facet#tag":
            return "tag", feature.tag
        case unknown:
            return unknown, None


def _media(embed: lexicon.Embed) -> list[tuple[str, str | None]] | None:
    holder = embed.media or embed
    media = [("image", image.alt) for image in (*(holder.images or ()), *(holder.items or ())) if image]
    if holder.type == "app.bsky.embed.video":
        media.append(("video", holder.alt))
    return media or None


def feed_item_row(raw: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one feed item.

    Args:
        raw: An `app.bsky.feed.defs#feedViewPost`.
        observed_at: When it was seen.

    Returns:
        The columns of `author_feed` that the item itself decides: all but `member_did` and `observed_at`.
    """
    item, issues = lexicon.decode(raw, lexicon.FeedViewPost)
    post = item.post or lexicon.PostView()
    record = post.record or lexicon.PostRecord()
    author = post.author or lexicon.Actor()
    post_indexed_at = _time(post.indexed_at, "$.post.indexedAt", issues, observed_at)
    row: Row = {
        "item_uri": post.uri,
        "item_at": None,
        "item_indexed_at": post_indexed_at,
        "post_uri": post.uri,
        "post_cid": post.cid,
        "post_indexed_at": post_indexed_at,
        "author_did": author.did,
        "author_handle": author.handle,
        "author_display_name": author.display_name,
        "author_labels": _label_values(author.labels),
        "like_count": post.like_count,
        "repost_count": post.repost_count,
        "reply_count": post.reply_count,
        "quote_count": post.quote_count,
        "bookmark_count": post.bookmark_count,
        "labels": _label_values(_labels_of_labelers(post, author)),
        "raw": lexicon.readable_text(bytes(raw)),
    }
    row |= post_record_columns(record, "$.post.record", issues, observed_at)
    # The feed's order knows no time that is too far ahead: there, the earlier of the two is the time of indexing.
    claimed_at = lexicon.parse_datetime(record.created_at) if record.created_at else None
    if post_indexed_at is not None and claimed_at is not None:
        row["item_at"] = min(post_indexed_at, microseconds(claimed_at))
    if item.reason:
        row["reason_type"] = _REASONS.get(item.reason.type or "", item.reason.type)
        if row["reason_type"] == "repost":
            row["item_uri"] = item.reason.uri
            row["item_at"] = row["item_indexed_at"] = _time(
                item.reason.indexed_at, "$.reason.indexedAt", issues, observed_at
            )
    if (item.reason and item.reason.type is None) or any(issue.startswith("$.reason:") for issue in issues):
        # Most likely a repost, which must never be taken for a post of the member's own.
        row |= {"reason_type": "unknown", "item_uri": None, "item_at": None}
    if row["item_uri"] is None:
        issues.append("$: no URI")
    row["issues"] = issues or None
    return row


def post_record_columns(record: lexicon.PostRecord, path: str, issues: list[str], observed_at: datetime) -> Row:
    """Read a post record into the columns that `author_feed` and `repo_events` have in common.

    Args:
        record: The record, as far as it could be read.
        path: Where it stands in the item's JSON.
        issues: Takes a line for each value that does not fit its column.
        observed_at: When it was seen.
    """
    row: Row = {
        "created_at": _time(record.created_at, f"{path}.createdAt", issues, observed_at),
        "text": record.text,
        "langs": _without_nulls(record.langs),
        "tags": _without_nulls(record.tags),
    }
    if record.facets:
        row["facets"] = _facets(record.facets) or None
    if record.reply:
        row["reply_parent_uri"] = record.reply.parent and record.reply.parent.uri
        row["reply_root_uri"] = record.reply.root and record.reply.root.uri
    if record.embed:
        _add_embed(row, record.embed)
    if record.labels:
        # An author's own labels have no time and no negation.
        row["self_labels"] = _values(record.labels.values)
    return row


def _add_embed(row: Row, embed: lexicon.Embed) -> None:
    row["embed_type"] = embed.type
    row["media"] = _media(embed)
    if embed.record:
        row["quoted_uri"] = embed.record.record.uri if embed.record.record else embed.record.uri
    external = embed.external or (embed.media and embed.media.external)
    if external:
        row["link_uri"] = external.uri
        row["link_title"] = external.title
        row["link_description"] = external.description


def _without_nulls(values: list[str | None] | None) -> list[str] | None:
    """Leave out the elements that could not be read; null if that leaves nothing of them."""
    if values is None or None not in values:
        return cast("list[str] | None", values)
    return [value for value in values if value is not None] or None


def profile_row(raw: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one `app.bsky.actor.defs#profileViewDetailed` into the columns of `profiles`."""
    profile, issues = lexicon.decode(raw, lexicon.ProfileViewDetailed)
    return {
        "did": profile.did,
        "observed_at": microseconds(observed_at),
        "handle": profile.handle,
        "display_name": profile.display_name,
        "description": profile.description,
        "avatar_url": profile.avatar,
        "links": profile.links and _profile_links(profile.links),
        "followers_count": profile.followers_count,
        "follows_count": profile.follows_count,
        "posts_count": profile.posts_count,
        "pinned_post_uri": profile.pinned_post and profile.pinned_post.uri,
        "joined_via_pack_uri": profile.joined_via_starter_pack and profile.joined_via_starter_pack.uri,
        "created_at": _time(profile.created_at, "$.createdAt", issues, observed_at),
        "indexed_at": _time(profile.indexed_at, "$.indexedAt", issues, observed_at),
        "labels": _label_values(profile.labels),
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def _profile_links(links: list[lexicon.ProfileLinkView | None]) -> list[Row] | None:
    return [
        {"url": link.url, "title": link.title, "labels": _label_values(link.labels)} for link in links if link
    ] or None


def starter_pack_row(raw: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one `app.bsky.graph.defs#starterPackView` into the columns of `starter_packs` that it decides."""
    pack, issues = lexicon.decode(raw, lexicon.StarterPackView)
    record = pack.record or lexicon.StarterPackRecord()
    creator = pack.creator or lexicon.Actor()
    members = pack.member_list or lexicon.ListView()
    return {
        "uri": pack.uri,
        "observed_at": microseconds(observed_at),
        "seed_type": "starter_pack",
        "name": record.name,
        "description": record.description,
        "creator_did": creator.did,
        "creator_handle": creator.handle,
        "list_uri": members.uri,
        "list_item_count": members.list_item_count,
        "joined_week_count": pack.joined_week_count,
        "joined_all_time_count": pack.joined_all_time_count,
        "created_at": _time(record.created_at, "$.record.createdAt", issues, observed_at),
        "indexed_at": _time(pack.indexed_at, "$.indexedAt", issues, observed_at),
        "labels": _label_values(pack.labels),
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def list_row(raw: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one `app.bsky.graph.defs#listView`, followed like a pack, into the columns of `starter_packs`."""
    view, issues = lexicon.decode(raw, lexicon.ListView)
    creator = view.creator or lexicon.Actor()
    return {
        "uri": view.uri,
        "observed_at": microseconds(observed_at),
        "seed_type": "list",
        "name": view.name,
        "description": view.description,
        "creator_did": creator.did,
        "creator_handle": creator.handle,
        "list_uri": view.uri,
        "list_item_count": view.list_item_count,
        "indexed_at": _time(view.indexed_at, "$.indexedAt", issues, observed_at),
        "labels": _label_values(view.labels),
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def listed_member_row(raw: msgspec.Raw) -> Row:
    """Read one `app.bsky.graph.defs#listItemView` into the columns of `starter_pack_members` that it decides."""
    item, issues = lexicon.decode(raw, lexicon.ListItemView)
    member = item.subject or lexicon.Actor()
    return {
        "did": member.did,
        "list_item_uri": item.uri,
        "is_listed": True,
        "handle": member.handle,
        "display_name": member.display_name,
        "labels": _label_values(member.labels),
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def hidden_member_row(raw: msgspec.Raw) -> Row:
    """Read one listitem record from its creator's repository into the columns of `starter_pack_members`."""
    item, issues = lexicon.decode(raw, lexicon.RepoListItem)
    record = item.value or lexicon.ListItemRecord()
    return {
        "did": record.subject,
        "list_item_uri": item.uri,
        "is_listed": False,
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def shown_post_row(view: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one `app.bsky.feed.defs#postView` as the feed item that it would be, into the columns of `author_feed`."""
    return feed_item_row(msgspec.Raw(b'{"post":%b}' % bytes(view)), observed_at)


def reaction_row(raw: msgspec.Raw, kind: str, observed_at: datetime) -> Row:
    """Read a like (`app.bsky.feed.getLikes#like`), or the profile of whoever reposted, into columns of `reactions`.

    Args:
        raw: The item.
        kind: `like` or `repost`.
        observed_at: When it was seen.
    """
    if kind == "like":
        like, issues = lexicon.decode(raw, lexicon.LikeView)
        actor = like.actor or lexicon.Actor()
    else:
        actor, issues = lexicon.decode(raw, lexicon.Actor)
        like = lexicon.LikeView()
    return {
        "kind": kind,
        "actor_did": actor.did,
        "observed_at": microseconds(observed_at),
        "actor_handle": actor.handle,
        "actor_display_name": actor.display_name,
        "actor_labels": _label_values(actor.labels),
        "created_at": _time(like.created_at, "$.createdAt", issues, observed_at),
        "indexed_at": _time(like.indexed_at, "$.indexedAt", issues, observed_at),
        "issues": issues or None,
    }


def repo_record_row(raw: msgspec.Raw, observed_at: datetime) -> Row:
    """Read one record, as its repository gives it, into the columns of `record_checks` that it decides."""
    record, issues = lexicon.decode(raw, lexicon.RepoRecord)
    value = record.value or lexicon.RepostRecord()
    return {
        "uri": record.uri,
        "cid": record.cid,
        "created_at": _time(value.created_at, "$.value.createdAt", issues, observed_at),
        "subject_uri": value.subject and value.subject.uri,
        "issues": issues or None,
        "raw": lexicon.readable_text(bytes(raw)),
    }


def subject_record_row(raw: bytes, observed_at: datetime) -> Row:
    """Read a follow, a like, or another record that names a subject, into the columns of `member_records`."""
    record, issues = lexicon.decode(raw, lexicon.SubjectRecord)
    row: Row = {
        "created_at": _time(record.created_at, "$.createdAt", issues, observed_at),
        "via_uri": record.via and record.via.uri,
        "raw": lexicon.readable_text(raw),
    }
    subject = record.subject
    if isinstance(subject, lexicon.StrongRef):
        owner = (subject.uri or "").removeprefix("at://").partition("/")[0]
        row |= {"subject_uri": subject.uri, "subject_cid": subject.cid, "subject_did": owner if is_did(owner) else None}
    elif subject is not None and is_did(subject):
        row["subject_did"] = subject
    elif subject is not None:
        issues.append("$.subject: no DID")
    row["issues"] = issues or None
    return row
