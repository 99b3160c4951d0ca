"""One member's walk through their feed: how far to read, what is new, and what the walk may claim to have covered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NotRequired, TypedDict

from pipelines.network.appview import (
    AccountDeactivated,
    AccountSuspended,
    ActorBlocked,
    ActorNotFound,
    AppView,
    NetworkError,
    walk_budget,
)
from pipelines.network.paging import EMPTY_PAGES_IN_A_ROW
from pipelines.sources.rows import Row, feed_item_row, from_microseconds, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.network.budgets import Budget

_REPOST: Final = "/app.bsky.feed.repost/"

_OUTCOMES: Final[dict[type[NetworkError], str]] = {
    AccountDeactivated: "deactivated",
    AccountSuspended: "suspended",
    ActorNotFound: "not_found",
    ActorBlocked: "blocked",
}


class AuditState(TypedDict):
    """What dlt's state keeps of a member's audit.

    Attributes:
        audited_at: When it began, ISO 8601.
        rev: The newest revision of the repository that an audit has read; None where the server names none.
        is_whole: Whether it read the repository, and somebody answered for every record that the lake lacked. Absent in
            states of before, which were all of such audits.
        collections: Types of records beside posts and reposts that it kept; None where nobody proves what there is.
            Absent in states of before, whose audits kept none.
    """

    audited_at: str
    rev: str | None
    is_whole: NotRequired[bool]
    collections: NotRequired[list[str] | None]


class MemberState(TypedDict):
    """What dlt's state keeps of a member between runs. Only a completed walk changes it.

    Attributes:
        cursor: The newest `item_indexed_at` seen, ISO 8601.
        pulled_at: When the walk began, ISO 8601.
        swept_at: When a walk last went as far as `WalkRules` ever ask for, ISO 8601.
        end_uri: The item that the feed ended with when its end was last reached; empty for an empty feed, None if it
            never was. Only a walk moves it: an audit tells what exists, and nothing of where a feed ends.
        doubtful_end_uri: The item that the last walk ended with, if the walk doubts that end. Then each walk reads to
            the end, until it gets as far as before, the service's count is reached, or a whole audit takes the doubt
            away: the lake lacks nothing, wherever the feed broke off.
            (Feeds are known to end early: https://github.com/bluesky-social/atproto/issues/2134.)
        posts_count: How many posts the service counted of the member when the walk began; None where it showed no
            profile. Absent in states of before.
        audit: The last audit of the member that read a repository or refused it; absent before the first.
    """

    cursor: str | None
    pulled_at: str
    swept_at: str
    end_uri: str | None
    doubtful_end_uri: str | None
    posts_count: NotRequired[int | None]
    audit: NotRequired[AuditState]


def was_whole(audit: AuditState) -> bool:
    """Tell whether an audit has settled what the lake lacked."""
    return audit.get("is_whole", True)


@dataclass(frozen=True)
class WalkRules:
    """How far walks go.

    Attributes:
        refresh: Items younger than this are stored again, with their counts. A walk also reads this far past the
            cursor, for items that were dated back a little or indexed late.
        backfill: How far back a first walk and a sweep go; None is to the end.
        sweep_every: How often a feed is read to its end again, for items dated back.
        is_full: Read every feed to its end now.
    """

    refresh: timedelta
    backfill: timedelta | None
    sweep_every: timedelta
    is_full: bool

    def goes_to_end(self, state: MemberState | None, now: datetime) -> bool:
        """Tell whether a walk that begins now is to go as far as walks ever do."""
        if self.is_full or not state or state["doubtful_end_uri"] is not None:
            return True
        return now - datetime.fromisoformat(state["swept_at"]) >= self.sweep_every


@dataclass
class FeedWalk:
    """A walk through the author feed of one member.

    Iterate `pages()` to its end; then `pull_row()` says how it went and `next_state` what to remember.

    Attributes:
        outcome: As in the column `feed_pulls.outcome`.
        error: What went wrong, or what is odd though the outcome is `ok`.
        next_state: The state for the next run; the old one, unless the walk was completed.
    """

    appview: AppView
    did: str
    state: MemberState | None
    rules: WalkRules
    observed_at: datetime
    posts_count: int | None = None
    outcome: str = "ok"
    error: str | None = None
    page_count: int = 0
    item_count: int = 0
    new_item_count: int = 0
    next_state: MemberState | None = field(init=False)
    _budget: Budget = field(init=False, repr=False)
    _newest_indexed_at: int | None = None
    _oldest_item_at: int | None = None
    _last_item_uri: str = ""
    _own_post_count: int = 0
    _left_out_count: int = 0
    _passed_known_end: bool = False
    _stop: Literal["end", "repeats", "floor"] | None = None
    _reached_end: bool = False

    def __post_init__(self) -> None:
        self.next_state = self.state
        self._budget = walk_budget()

    @property
    def is_completed(self) -> bool:
        """Whether the walk came as far as it was to go, so that there is something new to remember."""
        return self._stop is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether the walk came to an end of the feed that it does not believe."""
        return bool(self._stop) and self._stop != "floor" and not self._is_credible_end()

    @property
    def _goes_to_end(self) -> bool:
        return self.rules.goes_to_end(self.state, self.observed_at)

    @property
    def _cursor(self) -> datetime | None:
        cursor = self.state and self.state["cursor"]
        return datetime.fromisoformat(cursor) if cursor else None

    @property
    def _known_end(self) -> str | None:
        return self.state["end_uri"] if self.state else None

    @property
    def _floor(self) -> datetime | None:
        """The time down to which the feed is read; None to go to the end."""
        if not self._goes_to_end and self._cursor:
            return self._cursor - self.rules.refresh
        if self.rules.backfill is not None and not self.rules.is_full:
            return self.observed_at - self.rules.backfill
        return None

    @property
    def _stored_from(self) -> datetime | None:
        """The time after which every item is stored; None to store all items."""
        if not self._goes_to_end and self._cursor:
            # Items newer than the cursor are new, and items inside the refresh window are observed again.
            return min(self._cursor, self.observed_at - self.rules.refresh)
        return self._floor

    def pages(self) -> Iterator[list[Row]]:
        """Walk the feed, newest item first.

        Yields:
            Of each page, the rows of `author_feed` that are stored.
        """
        seen = {"member_did": self.did, "observed_at": microseconds(self.observed_at)}
        try:
            for page in self._pages():
                yield [row | seen for row in page]
        except NetworkError as error:
            self.outcome, self.error = self._outcome_of(error)
        if self._stop:
            self._remember()

    def _pages(self) -> Iterator[list[Row]]:
        floor = microseconds(self._floor) if self._floor else None
        cursor: str | None = None
        cursors: set[int] = set()
        seen: set[int] = set()
        empty_pages = 0
        while True:
            page = self.appview.feed_page(self.did, cursor, budget=self._budget)
            self.page_count += 1
            rows = [feed_item_row(raw, self.observed_at) for raw in page.feed]
            # A post that was written since the last page was read moves that page's last items to the top of this one.
            new_rows = [row for row in rows if _key(row) not in seen]
            seen.update(map(_key, new_rows))
            yield self._take(new_rows)
            if page.is_cursor_broken:
                self.outcome, self.error = "failed", f"page {self.page_count} has a cursor that cannot be sent"
                return
            cursor = page.cursor
            # Before all else: a walk that has read as far as it wants has no use for an end, and need not doubt it.
            if floor is not None and self._oldest_item_at is not None and self._oldest_item_at < floor:
                self._stop = "floor"
                return
            if cursor is None:
                self._stop = "end"
                return
            if hash(cursor) in cursors or (rows and not new_rows):
                self._stop = "repeats"
                return
            empty_pages = 0 if rows else empty_pages + 1
            if empty_pages == EMPTY_PAGES_IN_A_ROW:
                self.outcome, self.error = "failed", f"{empty_pages} empty pages in a row, each with another cursor"
                return
            cursors.add(hash(cursor))

    def _take(self, rows: list[Row]) -> list[Row]:
        """Count the rows of a page, and choose those to store."""
        cursor = microseconds(self._cursor) if self._cursor else None
        stored_from = microseconds(self._stored_from) if self._stored_from else None
        chosen = []
        for row in rows:
            item_at, indexed_at = row["item_at"], row["item_indexed_at"]
            if indexed_at is not None:
                self._newest_indexed_at = max(indexed_at, self._newest_indexed_at or indexed_at)
            self._note_place(row)
            self._own_post_count += row.get("reason_type") is None and row["author_did"] == self.did
            self._last_item_uri = row["item_uri"] or self._last_item_uri
            self._passed_known_end |= row["item_uri"] is not None and row["item_uri"] == self._known_end
            is_new = cursor is None or (indexed_at is not None and indexed_at > cursor)
            time = item_at if item_at is not None else indexed_at
            # A new item that was dated back is stored wherever the walk finds it.
            if stored_from is None or time is None or time > stored_from or (is_new and cursor is not None):
                chosen.append(row)
                self.new_item_count += is_new
        self.item_count += len(chosen)
        self._left_out_count += len(rows) - len(chosen)
        return chosen

    def _note_place(self, row: Row) -> None:
        """Note how far the walk has read, which the feed's last item in order tells.

        A post's place is known exactly. A repost stands where its own record says, which is not served: at its indexing
        or below. So it tells that the walk has read at least down to its indexing. A pinned post stands out of order.
        """
        item_at, reason = row["item_at"], row.get("reason_type")
        if item_at is None or reason == "pin":
            return
        if reason is None or self._oldest_item_at is None:
            self._oldest_item_at = item_at
        else:
            self._oldest_item_at = min(item_at, self._oldest_item_at)

    def _remember(self) -> None:
        is_end, is_doubtful = self._stop != "floor", self.is_doubtful
        self._reached_end = is_end and not is_doubtful and not self._left_out_count
        if is_doubtful:
            posts_count = "an unknown number of" if self.posts_count is None else f"{self.posts_count:,}"
            what = "ended" if self._stop == "end" else "began to repeat itself"
            when = "" if self._known_end is None else ", earlier than before"
            self.error = f"the feed {what} after {self._own_post_count:,} of {posts_count} posts{when}"
        newest = from_microseconds(self._newest_indexed_at) if self._newest_indexed_at is not None else None
        cursors = [time for time in (newest, self._cursor) if time is not None]
        self.next_state = MemberState(
            # A time in the future, from a wrong clock, would make every later item look old.
            cursor=min(max(cursors), self.observed_at).isoformat() if cursors else None,
            pulled_at=self.observed_at.isoformat(),
            swept_at=self.state["swept_at"] if self.state and not self._goes_to_end else self.observed_at.isoformat(),
            end_uri=self._last_item_uri if is_end and not is_doubtful else self._known_end,
            doubtful_end_uri=self._last_item_uri if is_doubtful else None,
            posts_count=self.posts_count,
        )
        if self.state and "audit" in self.state:
            self.next_state["audit"] = self.state["audit"]

    def _is_credible_end(self) -> bool:
        if self._passed_known_end:
            return True
        # Nobody counts the reposts: where one was last before, a walk that does not get as far may lack some.
        is_repost_missing = _REPOST in (self._known_end or "")
        # Counts drift on the network, and posts that break the lexicon are counted but not shown: then an audit tells.
        return self._own_post_count == self.posts_count and not is_repost_missing

    def _outcome_of(self, error: NetworkError) -> tuple[str, str]:
        """Ask for the profile to tell why a feed cannot be read: the feed says "Profile not found" for every reason."""
        if isinstance(error, ActorNotFound):
            try:
                self.appview.profile(self.did)
            except NetworkError as reason:
                error = reason
            else:
                return "failed", f"{error}, but the profile is shown"
        for kind, outcome in _OUTCOMES.items():
            if isinstance(error, kind):
                return outcome, str(error)
        return "failed", str(error)

    def pull_row(self) -> Row:
        """Say how the walk went, as a row of `feed_pulls`."""
        covered_from = self._covered_from()
        cursor_after = self.next_state and self.next_state["cursor"]
        return {
            "member_did": self.did,
            "observed_at": microseconds(self.observed_at),
            "outcome": self.outcome,
            "error": self.error,
            "page_count": self.page_count,
            "item_count": self.item_count,
            "new_item_count": self.new_item_count,
            "covered_from": covered_from,
            "covered_to": microseconds(self.observed_at) if covered_from is not None or self._reached_end else None,
            "reached_end": self._reached_end,
            "posts_count": self.posts_count,
            "cursor_before": self._cursor and microseconds(self._cursor),
            "cursor_after": microseconds(datetime.fromisoformat(cursor_after)) if cursor_after else None,
        }

    def _covered_from(self) -> int | None:
        if self._reached_end:
            return self._oldest_item_at
        if self.outcome != "ok" or self._oldest_item_at is None:
            return None
        # The AppView orders a feed by milliseconds: others of the same one may be on the next page.
        read_down_to = self._oldest_item_at // 1000 * 1000 + 999
        bounds = [read_down_to, microseconds(self._stored_from)] if self._stored_from else [read_down_to]
        return min(max(bounds), microseconds(self.observed_at))


def _key(row: Row) -> int:
    """Tell an item from all others of its feed, in little memory. A pinned post comes again, in its own place."""
    return hash((row["item_uri"] or row["raw"], row.get("reason_type")))
