"""Asks the service who reacts to members' posts, and for what members like and follow, within a budget of requests.

Likes and reposts have no words: they are rows of `reactions`. Quotes, replies and liked posts are rows of
`author_feed`, as if their authors' feeds had shown them, so that what holds of posts holds of them. Each asking is a
row of `audience_pulls`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Final, NamedTuple

import dlt
import msgspec
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.lake.tables import AUDIENCE_PULLS, AUTHOR_FEED, PROFILES, REACTIONS, RawTable
from pipelines.network.appview import POSTS_LIMIT, PROFILES_LIMIT
from pipelines.network.budgets import Budget
from pipelines.network.connect import Network
from pipelines.network.conversations import read_conversation
from pipelines.network.errors import BudgetSpent, NetworkError, is_refused
from pipelines.network.failing_services import FAILURES_IN_A_ROW
from pipelines.network.identifiers import is_did
from pipelines.network.service_clock import hear_the_time
from pipelines.sources.bluesky import author_feed, rows_of
from pipelines.sources.questions import POST_URI
from pipelines.sources.rows import (
    Row,
    arrow_table,
    microseconds,
    profile_row,
    reaction_row,
    shown_post_row,
)

DEPTH: Final = 6
"""Answers below a post, answers to these, and so on, that are asked for: what the lexicon has by default."""

PAGES_OF_ONE: Final = 10
"""Pages that are read of one post's likes, reposts or quotes: what all the network likes leaves others their turn."""

SHARE_OF_HYDRATION: Final = 5
"""One in so many requests is for posts and people that members like and follow."""


class AudiencePost(NamedTuple):
    """What to ask about a post.

    Attributes:
        uri: The post's at:// URI.
        kind: `like`, `repost`, `quote` or `reply`.
        known_count: How many the service had counted when the post was last seen.
    """

    uri: str
    kind: str
    known_count: int


@dataclass
class Asking:
    """One question, and what came of it.

    Attributes:
        kind: As in the column `audience_pulls.kind`.
        subject_uri: As in the column.
        observed_at: When it began.
        known_count: As in the column.
        rows: What it brought, by table.
        is_whole: Whether all was read that the service shows.
        page_count: Pages that were read.
        error: What was said, where it was no answer.
    """

    kind: str
    subject_uri: str
    observed_at: datetime
    known_count: int | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)
    is_whole: bool = True
    page_count: int = 0
    error: str | None = None

    def add(self, table: RawTable, row: Row) -> None:
        """Add a row that it brought."""
        self.rows.setdefault(table.name, []).append(row)

    def row(self) -> Row:
        """Write it as a row of `audience_pulls`."""
        return {
            "kind": self.kind,
            "subject_uri": self.subject_uri,
            "observed_at": microseconds(self.observed_at),
            "is_whole": self.is_whole and self.error is None,
            "page_count": self.page_count,
            "item_count": sum(map(len, self.rows.values())),
            "known_count": self.known_count,
            "error": self.error,
        }


@dataclass
class AudienceAsker:
    """Asks about the audience, one question after the other.

    Attributes:
        network: The clients to ask.
        clock: Tells the time of an observation.
        requests: How many may be sent, each attempt counted.
        left_alone: DIDs of people of whom nothing is stored: they opted out, or are in a block.
        counts: What was stored, by kind.
        problems: Questions that were not answered, by what was said.
    """

    network: Network
    clock: Callable[[], datetime]
    requests: int
    left_alone: Collection[str] = ()
    counts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Give the questions their budget."""
        self.budget = Budget("the audience", requests=self.requests)
        self._failures_in_a_row = 0

    def ask(self, about: Sequence[AudiencePost], posts: Sequence[str], dids: Sequence[str]) -> Iterator[pa.Table]:
        """Ask, as far as the budget goes, unless the service fails again and again.

        Args:
            about: What to ask about which posts, in this order.
            posts: at:// URIs of posts to ask for, the most wanted first.
            dids: People whose profiles to ask for, the most wanted first.

        Yields:
            Tables of `reactions`, `author_feed`, `profiles` and `audience_pulls`.
        """
        names = [*(each.uri for each in about[:1]), *posts[:1], *dids[:1]]
        if names:
            hear_the_time(self.clock, lambda: self.network.appview.posts(names[:1], budget=self.budget))
        for asking, question in self._questions(about, posts, dids):
            if self.budget.shortage() or self._failures_in_a_row >= FAILURES_IN_A_ROW:
                return
            self._answer(asking, question)
            for table in (REACTIONS, AUTHOR_FEED, PROFILES):
                if rows := asking.rows.get(table.name):
                    yield arrow_table(table, rows)
            yield arrow_table(AUDIENCE_PULLS, [asking.row()])

    def _questions(
        self, about: Sequence[AudiencePost], posts: Sequence[str], dids: Sequence[str]
    ) -> Iterator[tuple[Asking, Callable[[Asking], None]]]:
        of_posts = ((names, "post", self._ask_for_posts) for names in _parts(posts, POSTS_LIMIT))
        of_people = ((names, "profile", self._ask_for_profiles) for names in _parts(dids, PROFILES_LIMIT))
        # In turn, so that many of one kind leave the other its share.
        hydration = [one for pair in zip_longest(of_posts, of_people) for one in pair if one is not None]
        for names, kind, ask in hydration[: -(-self.requests // SHARE_OF_HYDRATION)]:
            subject = names[0] if kind == "post" else f"at://{names[0]}"
            yield Asking(kind, subject, self.clock()), partial(ask, names=names)
        for uri, kind, known_count in about:
            ask_one = self._ask_for_replies if kind == "reply" else self._ask_for_reactions
            yield Asking(kind, uri, self.clock(), known_count), ask_one

    def _answer(self, asking: Asking, question: Callable[[Asking], None]) -> None:
        try:
            question(asking)
        except BudgetSpent as error:
            asking.error = str(error)
        except NetworkError as error:
            asking.error = str(error)
            if is_refused(error):  # The post is gone, which is an answer.
                self._failures_in_a_row = 0
            else:
                self._failures_in_a_row += 1
                self.problems[asking.error] += 1
        else:
            self._failures_in_a_row = 0
        self.counts[asking.kind] += sum(map(len, asking.rows.values()))

    def _ask_for_reactions(self, asking: Asking) -> None:
        for page in self.network.appview.reactions(asking.kind, asking.subject_uri, budget=self.budget):
            asking.page_count += 1
            for item in page.items:
                if asking.kind == "quote":
                    self._add_post(asking, item)
                else:
                    self._add_reaction(asking, item)
            if asking.page_count == PAGES_OF_ONE and page.cursor is not None:
                asking.is_whole = False
                return

    def _ask_for_replies(self, asking: Asking) -> None:
        thread = self.network.appview.thread(asking.subject_uri, DEPTH, budget=self.budget)
        conversation = read_conversation(thread, DEPTH)
        asking.page_count, asking.is_whole = 1, conversation.is_whole
        for post in conversation.posts:
            self._add_post(asking, post)

    def _ask_for_posts(self, asking: Asking, names: Sequence[str]) -> None:
        views = self.network.appview.posts(names, budget=self.budget)
        asking.page_count = 1
        for view in views:
            self._add_post(asking, view, names)

    def _ask_for_profiles(self, asking: Asking, names: Sequence[str]) -> None:
        views = self.network.appview.profiles(names, budget=self.budget)
        asking.page_count = 1
        for view in views:
            row = profile_row(view, asking.observed_at)
            if row["did"] in names:
                asking.add(PROFILES, row)

    def _add_reaction(self, asking: Asking, item: msgspec.Raw) -> None:
        row = reaction_row(item, asking.kind, asking.observed_at)
        did = row["actor_did"]
        if did is None or not is_did(did) or did in self.left_alone:
            asking.is_whole = False  # What is known of those who are left alone stands.
        else:
            asking.add(REACTIONS, row | {"post_uri": asking.subject_uri})

    def _add_post(self, asking: Asking, view: msgspec.Raw, among: Collection[str] | None = None) -> None:
        row = shown_post_row(view, asking.observed_at)
        uri, author = row["post_uri"] or "", row["author_did"] or ""
        found = POST_URI.fullmatch(uri)
        is_theirs = found is not None and found[1] == author
        if not is_theirs or (among is not None and uri not in among) or author in self.left_alone:
            asking.is_whole = False
        else:
            seen = {"member_did": author, "observed_at": microseconds(asking.observed_at)}
            asking.add(AUTHOR_FEED, row | seen)


def _parts(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


@dlt.resource(name="audience_answers", selected=False)
def _audience_answers(
    asker: AudienceAsker, about: Sequence[AudiencePost], posts: Sequence[str], dids: Sequence[str]
) -> Iterator[pa.Table]:
    yield from asker.ask(about, posts, dids)


@dlt.source(name="bluesky", section="bluesky")
def audience(
    asker: AudienceAsker, about: Sequence[AudiencePost], posts: Sequence[str], dids: Sequence[str]
) -> list[DltResource]:
    """Who reacts to members' posts; posts and people in no pack that members like and follow.

    Args:
        asker: Asks for them, and counts what came of it.
        about: What to ask about which posts of members.
        posts: at:// URIs of posts of others to ask for.
        dids: People whose profiles to ask for.
    """
    answers = _audience_answers(asker, about, posts, dids)
    tables = (REACTIONS, AUDIENCE_PULLS, PROFILES)
    return [*(answers | rows_of(table) for table in tables), answers | author_feed()]
