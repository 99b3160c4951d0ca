"""Lakes in which anything happens, in any order: what is built on night by night is what a full refresh makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines.lake.bucket import PROJECT_ROOT
from tests.dbt.hostile_rows import WITHOUT_TIMES, known_rows, new_rows
from tests.dbt.laws import broken_laws
from tests.dbt.raw_lakes import OTHER_PACK, PACK, Load, did, follow_uri, like_uri, night, post_uri, repost_uri, rev_at
from tests.dbt.warehouses import WHAT_IS_KEPT, Warehouse, differences_of, new_project
from tests.seeds import seeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MEMBERS = "abcd"
AUTHORS = MEMBERS + "st"
NIGHTS = range(1, 7)
HIDDEN = ["!no-unauthenticated"]
ANSWERS = ["shown", "in_repository", "hidden_by_service", "record_gone", "account_unavailable", "unknown"]
KEPT = [None, ["app.bsky.graph.follow"], ["app.bsky.feed.like", "app.bsky.graph.follow"]]
OF_DLTS_FILES = {"base_lake__files", "base_dlt__loads"}
"""What dlt notes of a load is read again where it was compacted: it is in two files, of which one is there."""
AUDITS = ["verified", "unchanged", "listed", "refused", "unavailable", "failed"]

# What two engines may each read, order, round or write in a way of its own.
TAGS = [
    "T",
    "t",
    "İstanbul",
    "istanbul",
    "ΟΔΟΣ",
    "οδοσ",
    "οδος",
    "STRAẞE",
    "straße",
    "￥",
    "😀",
    "\u3000é\u200b",
    "%_\\'",
]
ALTS = ["words", "", None, " ", "\u00a0\u3000", "\t\n"]
LANGUAGES = [None, ["pt-BR"], [], ["PT", "en"], [""], ["İt"]]
COUNTS = [None, 0, 1, 5, 7, 2**53, 2**53 + 1, -1]
NAMES = [None, "", "One", "Other", 'İ\\ "O\'Neil"\n%_']
LINKS = ["https://x.test/1", "https://ÉÇ.x.test/\\?a='b'", "HTTPS://WWW.X_Y.test:1/%_", "no address"]
TEXTS = ["@a0.test says so", "@t1.test and I", "words alone", "👩\u200d🚀é\n\0 @A0.TEST İ", ""]
LONG_AGO = [datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime(1582, 10, 10, 0, 30, tzinfo=UTC)]


class Chance:
    """A network without any habits, the same for the same seed."""

    def __init__(self, seed: int, nights: Sequence[int] = NIGHTS) -> None:
        self.random = Random(seed)
        self._posted = {
            (author, rkey): night(self.random.choice(nights[:3]), self.random.randrange(24))
            for author in AUTHORS
            for rkey in ("p0", "p1", "p2")
        }
        self._handles = {
            (name, number): f"{name}{self.random.randrange(2)}.test" for name in AUTHORS for number in nights
        }
        self._looks = {
            at: {
                "author_handle": self.random.choice([handle, handle, "handle.invalid"]),
                "author_display_name": self.random.choice(NAMES),
                "author_labels": self.random.choice([[], [], HIDDEN, ["!hide"]]),
            }
            for at, handle in self._handles.items()
        }

    def of(self, probability: float) -> bool:
        return self.random.random() < probability

    def load(self, number: int) -> Load:
        """One night: some members, some pulls, some of what there is to see."""
        at = night(number)
        load = Load(f"17724060{number:02}.2499905")  # Half a microsecond, which engines round each in its own way.
        present = [name for name in MEMBERS if self.of(0.85)]
        handles = {name: self._handles[name, number] for name in MEMBERS}
        for pack, share in ((PACK, 1.0), (OTHER_PACK, 0.5)):
            load.pack(at, [name for name in present if self.of(share)], pack, complete=self.of(0.8), handles=handles)
        for name in MEMBERS:
            if self.of(0.85):
                load.profile(name, at, handle=handles[name], labels=HIDDEN if self.of(0.1) else [])
            outcome = "ok" if self.of(0.8) else self.random.choice(["failed", "not_found", "deactivated"])
            load.pull(name, at, self.random.choice([None, 1, 2, 7]), outcome)
            for author, rkey in self._posted if outcome == "ok" else ():
                if self.of(0.7 if author == name else 0.1):
                    self._see(load, number, name, author, rkey)
        self._hear(load, at)
        self._ask(load, at)
        return load

    def _hear(self, load: Load, at: datetime) -> None:
        """What the live job heard in the day before."""
        for name in MEMBERS:
            for rkey in ("p0", "p1", "heard"):
                if self.of(0.1):
                    then = at - timedelta(hours=self.random.randrange(24))
                    operation = self.random.choice(["create", "update", "delete"])
                    made = {"created_at": self._about(then), "cid": "bafyheard"} if operation != "delete" else {}
                    kind = self.random.choice(["post", "repost"])
                    subject = post_uri(self.random.choice(AUTHORS), "p0") if kind == "repost" and made else None
                    rkey_of_kind = f"r-s-{rkey}" if kind == "repost" else rkey
                    load.event(name, kind, rkey_of_kind, then, operation, subject_uri=subject, **made)

    def _ask(self, load: Load, at: datetime) -> None:
        """Answers of whatever kind, about records that are known and others, some before the walks and some after."""
        for name in MEMBERS:
            for rkey in ("p0", "p1", "p2", "heard", "kept"):
                if self.of(0.15):
                    then = at + timedelta(hours=self.random.choice([-1, 1]))
                    outcome = self.random.choice(ANSWERS)
                    load.check(post_uri(name, rkey), then, outcome, cid=f"bafy{self.random.randrange(3)}")
                    if outcome == "shown":
                        load.post(name, rkey, then, self._about(at), **self._content())
                    subject = post_uri(self.random.choice(AUTHORS), "p1")
                    kept = {"subject_uri": subject, "created_at": self._about(at - timedelta(days=2))}
                    load.check(repost_uri(name, f"r-s-{rkey}"), then, self.random.choice(ANSWERS[1:]), **kept)
            if self.of(0.3):
                values = {"present_count": self.random.choice([7, 10]), "audited_collections": self.random.choice(KEPT)}
                load.audit(name, at, self.random.choice(AUDITS), **values)
            self._tie(load, name, at)

    def _tie(self, load: Load, name: str, at: datetime) -> None:
        """Follows and likes that an audit found, or found gone, or that the live job heard of, in any order."""
        for other in AUTHORS:
            if self.of(0.3):
                what = {"subject_did": did(other), "created_at": self._about(at - timedelta(days=1))}
                load.kept(follow_uri(name, f"f-{other}"), at, rev_at(at), is_gone=self.of(0.3), **what)
            if self.of(0.2):
                what = {"subject_did": did(other), "subject_uri": post_uri(other, "p0"), "created_at": self._about(at)}
                load.kept(like_uri(name, f"l-{other}"), at, rev_at(at), is_gone=self.of(0.3), **what)
            if self.of(0.2):
                then = at - timedelta(hours=self.random.randrange(24))
                operation = self.random.choice(["create", "update", "delete"])
                subject = None if operation == "delete" else did(other)
                load.event(name, "follow", f"f-{other}", then, operation, subject_uri=subject)

    def _see(self, load: Load, number: int, member: str, author: str, rkey: str) -> None:
        """A post in a member's feed, each time in another version."""
        at, posted_at = night(number), self._posted[author, rkey]
        if posted_at > at:
            return
        values = self._content() | self._looks[author, number]
        if member != author:
            item_at = None if self.of(0.05) else posted_at + timedelta(hours=1)
            # A record that is written anew may be a repost of something else.
            record = "r-moved" if self.of(0.4) else f"r-{author}-{rkey}"
            values |= {"member": member, "repost": record, "item_at": item_at}
        elif self.of(0.1):
            values["reason_type"] = "pin"
        load.post(author, rkey, at, self._about(posted_at), indexed_at=self._about(posted_at), **values)

    def _about(self, time: datetime) -> datetime | None:
        """A time, sometimes another one, sometimes none."""
        if self.of(0.1):
            return self.random.choice([None, None, *LONG_AGO])
        return time + timedelta(hours=self.random.randint(-40, 40)) if self.of(0.15) else time

    def _content(self) -> dict[str, Any]:
        place = {"byte_start": 0, "byte_end": 8}
        mentioned = did(self.random.choice(AUTHORS))
        tags = [("tag", self.random.choice(TAGS)) for _ in range(3)]
        links = [("link", self.random.choice(LINKS)) for _ in range(2)]
        features = [*tags, *links, ("mention", mentioned), ("new", None)]
        parent, quoted = (post_uri(self.random.choice(AUTHORS), "p0") for _ in range(2))
        content: dict[str, Any] = {
            "text": self.random.choice(TEXTS),
            "facets": [{"feature": kind, "value": value, **place} for kind, value in features if self.of(0.3)] or None,
            "tags": self.random.choice([None, [], self.random.sample(TAGS, 2), ["t", "outline", ""]]),
            "media": self.random.choice([None, [], [{"kind": "image", "alt": self.random.choice(ALTS)}]]),
            "link_uri": self.random.choice([None, *LINKS]),
            "reply_parent_uri": self.random.choice([None, parent]),
            "quoted_uri": self.random.choice([None, quoted]),
            "langs": self.random.choice(LANGUAGES),
            "issues": self.random.choice([None, ["text"]]),
            "post_cid": f"bafy{self.random.randrange(3)}",
        }
        counts = ("like_count", "repost_count", "reply_count", "quote_count")
        return content | {count: self.random.choice(COUNTS) for count in counts}


@pytest.mark.parametrize("seed", seeds(3, by_default=0, on_each_change=1))
def test_night_by_night_or_all_at_once_is_the_same(seed: int, tmp_path: Path, parsed_project: Path) -> None:
    chance = Chance(seed)
    nights, at_once = two_lakes(tmp_path, parsed_project)
    loads = [chance.load(number) for number in NIGHTS]
    late = loads.pop(chance.random.randrange(len(loads)))
    loads.insert(chance.random.randrange(len(loads) + 1), late)
    builds = {*chance.random.sample(range(len(loads) - 1), 3), len(loads) - 1}
    for number, load in enumerate(loads):
        evidence = chance.random.choice(["_dlt_loads", "_dlt_loads", "_dlt_pipeline_state", None])
        files = chance.random.choice([1, 2])
        hostile = known_rows() if number == 0 else new_rows() if number == len(loads) - 1 else []
        for lake in (nights, at_once):
            load.write(lake.dataset, evidence=evidence, files=files)
            for other in hostile:
                other.write(lake.dataset, author_feed=WITHOUT_TIMES)
        if chance.of(0.7):
            nights.compact(hour=number)
        if number in builds:
            nights.dbt("run")
    at_once.dbt("run")
    assert differences_of(nights, at_once, but=["held_in"]) <= OF_DLTS_FILES
    assert broken_laws(at_once) == []


def two_lakes(folder: Path, parsed_project: Path) -> tuple[Warehouse, Warehouse]:
    """Make one that may be compacted, and one that is left as dlt wrote it."""
    first, second = (Warehouse(new_project(folder / name, parsed_project)) for name in ("compacted", "as_written"))
    return first, second


MODELS = sorted(path.stem for path in (PROJECT_ROOT / "dbt" / "models").rglob("*.sql"))
READERS_OF_BATCHES = [name for name in MODELS if name.startswith(("base_", "int_posts", "int_feed_items"))]
PARTS = [
    "staging", "staging.base", "intermediate", "intermediate.from_staging", "marts", "marts.core", "marts.ops",
    "config.materialized:incremental", "config.materialized:view", "base_lake__files", "fct_*", "source:bluesky+1",
]  # fmt: skip


def selection(random: Random) -> list[str]:
    """What somebody may write behind `dbt run`: one or two parts of the graph, sometimes with an exception."""

    def part() -> str:
        name = random.choice(random.choice([MODELS, READERS_OF_BATCHES, PARTS]))
        before, behind = random.choice(["", "", "+", "1+"]), random.choice(["", "", "+", "+1", "+2"])
        return name if ":" in name else f"{before}{name}{behind}"

    selected = ["--select", *(part() for _ in range(random.choice([1, 1, 2])))]
    return [*selected, "--exclude", part()] if random.random() < 0.2 else selected


def parts_alone(seed: int, folder: Path, parsed_project: Path, nights: range) -> set[str]:
    """Build a part of the graph after each night, more often anew than not, all of it at the end, and compare."""
    chance = Chance(seed)
    built, at_once = two_lakes(folder, parsed_project)
    for number in nights:
        load = chance.load(number)
        hostile = known_rows() if number == nights[0] else new_rows() if number == nights[-2] else []
        for lake in (built, at_once):
            load.write(lake.dataset)
            for other in hostile:
                other.write(lake.dataset, author_feed=WITHOUT_TIMES)
        if chance.of(0.7):
            built.compact(hour=number)
        if number == nights[0]:
            built.dbt("run")
        elif number != nights[-1]:
            for _ in range(chance.random.choice([1, 2])):
                built.dbt("run", *(["--full-refresh"] if chance.of(0.6) else []), *selection(chance.random))
    built.dbt("build", "--exclude-resource-type=unit_test")
    at_once.dbt("run")
    return differences_of(built, at_once, but=["held_in"]) - OF_DLTS_FILES


@pytest.mark.parametrize("seed", seeds(2, by_default=0, on_each_change=1))
def test_any_part_built_alone_is_made_right_by_the_next_build(seed: int, tmp_path: Path, parsed_project: Path) -> None:
    assert parts_alone(seed, tmp_path, parsed_project, NIGHTS) == set()


@pytest.mark.slow
def test_a_list_of_files_that_was_made_anew_keeps_no_night_away(tmp_path: Path, parsed_project: Path) -> None:
    """The base models have read one night more than the others, and then the list forgets which files they read."""
    chance = Chance(0)
    built = Warehouse(new_project(tmp_path / "project", parsed_project))
    chance.load(1).write(built.dataset)
    built.dbt("run", WHAT_IS_KEPT)
    chance.load(2).write(built.dataset)
    built.dbt("run", "--select=staging.base")
    built.dbt("run", "--full-refresh", "--select=base_lake__files")
    chance.load(3).write(built.dataset)
    built.dbt("run", WHAT_IS_KEPT)
    at_once = Warehouse(built.folder, "at_once")
    at_once.dbt("run", WHAT_IS_KEPT)
    assert differences_of(built, at_once) == set()


@pytest.mark.slow
def test_a_half_life_counts_all_observations_whatever_else_is_built(tmp_path: Path, parsed_project: Path) -> None:
    """The list of recent posts knows nothing of the last of them."""
    built = Warehouse(new_project(tmp_path / "project", parsed_project))
    for number, like_count, models in (
        (1, 2, ["+int_post_half_lives"]),
        (7, 10, ["+int_posts", "fct_post_engagement", "int_post_half_lives"]),
    ):
        load = Load(f"17724060{number:02}.5")
        load.pack(night(number), ["a"])
        load.profile("a", night(number))
        load.pull("a", night(number))
        load.post("a", "p", night(number), night(1, 12), like_count=like_count)
        load.write(built.dataset)
        built.dbt("run", "--select", *models)
    assert built.rows("select final_count, followed_hours from int_post_half_lives") == [(10, 155.0)]


@pytest.mark.slow
def test_a_post_keeps_its_tags_where_another_post_has_its_number(tmp_path: Path, parsed_project: Path) -> None:
    """Whoever has some hours of a graphics card can make such a post."""
    built = Warehouse(new_project(tmp_path / "project", parsed_project))
    for number, rkeys in ((1, ["p", "q"]), (2, ["p"])):
        load = Load(f"17724060{number:02}.5")
        load.pack(night(number), ["a"])
        load.profile("a", night(number))
        load.pull("a", night(number))
        for rkey in rkeys:
            load.post("a", rkey, night(number), night(1, 12), tags=[f"{rkey}{number}"])
        load.write(built.dataset)
        built.dbt("run", "--select=+fct_hashtags")
        with duckdb.connect(str(built.path)) as connection:
            connection.execute(
                "update fct_hashtags set post_sort_key = (select post_sort_key from int_posts where post_uri like '%p')"
            )
    assert built.rows("select hashtag from fct_hashtags order by 1") == [("p2",), ("q1",)]
