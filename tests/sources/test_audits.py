"""Audits: what a repository proves is in the lake, what it lacks is gone, and what proves nothing is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import bluesky
from pipelines.lake.tables import AUTHOR_FEED, RECORD_CHECKS
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.failing_services import FailingServices
from pipelines.network.pacing import Pacer
from pipelines.network.repo_proof import RepoRecord
from pipelines.network.repositories import Repositories
from pipelines.network.service_clock import ServiceClock, utc_now
from pipelines.sample.appview.faults import Fault
from pipelines.sample.appview.repo_writer import Key, car_of, commit, encode, key_of, tree
from pipelines.sample.appview.signed_repositories import repository_car, signing_key
from pipelines.sample.world.blocks import cid_text, cid_to_bytes, link_to
from pipelines.sample.world.days import evening
from pipelines.sample.world.truth import DEACTIVATED, DELETED, FOLLOW, LIKE, POST, REPOST, SUSPENDED, Follow, Like
from pipelines.sources.feed_audits import Audits
from pipelines.sources.feed_walk import AuditState, MemberState, was_whole
from pipelines.sources.member_audit import MemberAudit
from pipelines.sources.member_records import KeptCollections
from pipelines.sources.record_checks import RecordAsker
from pipelines.sources.repository_comparison import Comparison, KnownRecord
from tests.sources.audits import in_repository, kept_records, known_records, living, run_audits, ties

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import Day, World
    from tests.conftest import Lake
    from tests.sources.audits import Audited

GET_REPO: Final = "com.atproto.sync.getRepo"
GET_POSTS: Final = "app.bsky.feed.getPosts"
LATEST: Final = "com.atproto.sync.getLatestCommit"


DAY_ONE: Final = evening(1)
NOTHING_KEPT: Final = KeptCollections(frozenset(), lambda _: iter(()))
AUDITED: Final = (
    "mara",
    "mikkel",
    "grace",
    "otto",
    "sofia",
    "ruth",
    "tomasz",
    "silent",
    "hana",
    "crypto",
    "nils",
    "vanish",
)
"""Some of whom are deactivated, suspended or deleted by day 7."""


@pytest.fixture
def did(world: World, sample_server: SampleServer) -> str:
    """Somebody who writes, reposts and deletes between day 1 and day 5, of which the server shows the latter."""
    sample_server.day = 5
    return world.actor("mara").did


def known_on_day_one(world: World, did: str) -> dict[str, KnownRecord]:
    return {uri: KnownRecord(cid, False) for uri, cid in in_repository(world.on(1), did).items()}


@dataclass(frozen=True)
class OneAudit:
    """What the audit of one member told: its row, its rows of `record_checks` by URI, and what is remembered."""

    row: dict[str, Any]
    checks: dict[str, dict[str, Any]]
    next_state: AuditState | None

    @property
    def outcomes(self) -> dict[str, str]:
        return {uri: check["outcome"] for uri, check in self.checks.items()}


def audit_one(
    server: SampleServer, did: str, *, day: int = 5, last: AuditState | None = None, max_attempts: int = 1
) -> OneAudit:
    appview = AppView(server.url, Pacer(100_000), backoff=0.001, max_attempts=max_attempts)
    network, now = Network(appview, Repositories(appview, server.url), server.url), server.world.on(day).now
    audit = MemberAudit(
        network,
        FailingServices(),
        RecordAsker(network, lambda: now),
        did,
        last,
        lambda did: known_on_day_one(server.world, did),
        NOTHING_KEPT,
        now,
    )
    audit.begin()
    tables = list(audit.tables())
    checks = [row for table in tables if table.schema.equals(RECORD_CHECKS.schema) for row in table.to_pylist()]
    shown = {
        uri for table in tables if table.schema.equals(AUTHOR_FEED.schema) for uri in table["item_uri"].to_pylist()
    }
    assert shown == {check["uri"] for check in checks if check["outcome"] == "shown"}
    assert len({check["uri"] for check in checks}) == len(checks)
    return OneAudit(audit.row(), {check["uri"]: check for check in checks}, audit.next_state)


def pulled(lake: Lake, server: SampleServer, *dids: str, day: int = 1) -> None:
    server.day = day
    lake.pull(server, actors=list(dids))


def test_nobody_reads_the_repository_of_who_has_opted_out(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    """Whose feed was read last night, so that an audit is due."""
    stays, leaves = world.actor("nils").did, world.actor("silent").did
    pulled(lake, sample_server, stays, leaves)
    audited = run_audits(lake, sample_server, opted_out=[leaves])
    assert audited.rows.keys() == {stays}
    assert run_audits(lake, sample_server, opted_out=[leaves, stays]).summary.outcomes.total() == 0
    assert leaves not in {request.params.get("did") for request in sample_server.requests}


@pytest.mark.slow
def test_after_an_audit_the_lake_is_what_the_repositories_are(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    """The pull is of day 1 and the audit of day 7, so that records are new, edited, deleted and hidden."""
    pulled(lake, sample_server, *(world.actor(name).did for name in AUDITED))
    sample_server.day = 7
    audited = run_audits(lake, sample_server)
    before, after = audited.known, known_records(lake)
    day = world.on(7)
    assert audited.summary.exit_code == 0
    assert len(audited.rows) == len(AUDITED)
    gone = Counter[str]()
    for did, row in audited.rows.items():
        if not day.actors[did].is_available(day.now):
            assert (row["outcome"], row["expected_count"]) == ("unavailable", None)
            assert living(after, did) == living(before, did)
            continue
        there = in_repository(day, did)
        assert (row["outcome"], row["error"], row["rev"]) == ("verified", None, day.rev(did))
        present = living(before, did).items() & there.items()
        assert (row["expected_count"], row["present_count"]) == (len(there), len(present))
        assert row["missing_count"] == row["healed_count"] == len(there) - len(present)
        assert row["gone_count"] == len(living(before, did).keys() - there.keys())
        assert living(after, did) == there
        gone[did] = row["gone_count"]
        counts = Counter(one.collection for one in day.repository(did))
        assert {one["collection"]: one["record_count"] for one in row["record_counts"]} == counts
        assert row["audited_collections"] == [LIKE, FOLLOW]
    assert gone.total() > 0
    assert {check["outcome"] for check in audited.checks.values()} == {"shown", "in_repository", "record_gone"}
    assert audited.shown.keys() == {uri for uri, check in audited.checks.items() if check["outcome"] == "shown"}
    assert {check["asked_because"] for check in audited.checks.values()} == {"audit"}
    for repost in world.reposts:
        check = audited.checks.get(repost.uri)
        if check and check["outcome"] == "in_repository":
            assert (check["subject_uri"], check["cid"]) == (repost.subject.uri, repost.cid)
            assert check["created_at"] is not None
            assert json.loads(check["raw"])["value"]["subject"]["uri"] == repost.subject.uri

    again = run_audits(lake, sample_server, list(audited.rows), at=day.now + timedelta(hours=1))
    assert {row["outcome"] for row in again.rows.values()} == {"unchanged", "unavailable"}
    assert again.requests.keys() <= {LATEST.rpartition(".")[2], *(f"/{did}" for did in audited.rows)}
    assert again.checks == again.shown == again.kept == {}

    sample_server.day = 9
    hold_ties_to_the_truth(run_audits(lake, sample_server, list(audited.rows)), world)
    known = kept_records(lake)
    for did, row in audited.rows.items():
        last = 9 if world.actors[did].is_available(world.on(9).now) else 7
        if row["outcome"] == "verified":
            assert {uri: cid for uri, cid in known.items() if uri.startswith(f"at://{did}/")} == ties(
                world.on(last), did
            )


def hold_ties_to_the_truth(audited: Audited, world: World) -> None:
    """The audits are of day 9, and of day 7 before: what the lake knew from there is not written again."""
    read = [did for did, row in audited.rows.items() if row["outcome"] == "verified"]
    new = {uri for did in read for uri in ties(world.on(9), did).keys() - ties(world.on(7), did).keys()}
    gone = {uri for did in read for uri in ties(world.on(7), did).keys() - ties(world.on(9), did).keys()}
    assert {uri for uri, row in audited.kept.items() if not row["is_gone"]} == new
    assert {uri for uri, row in audited.kept.items() if row["is_gone"]} == gone
    assert gone
    assert {uri.split("/")[3] for uri in new} == {FOLLOW, LIKE}
    assert {row["rev"] for row in audited.kept.values()} <= {world.on(9).rev(did) for did in read}
    made: list[Follow | Like] = []
    for did in read:
        made += [*world.ties.follows[did], *world.ties.likes[did]]
    for one in (one for one in made if one.uri in new):
        row = audited.kept[one.uri]
        liked = one.subject if isinstance(one, Like) else None
        assert (row["cid"], row["created_at"]) == (one.cid, one.created_at)
        assert (row["subject_uri"], row["subject_cid"]) == (liked and liked.uri, liked and liked.cid)
        assert row["subject_did"] == (liked.uri.split("/")[2] if liked else one.subject)
        assert json.loads(row["raw"])["$type"] == row["collection"]


def test_a_doubtful_end_makes_an_audit_due_and_the_audit_settles_it(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    sample_server.faults.add(Fault.ENDS_EARLY, actor=did, nsid="app.bsky.feed.getAuthorFeed")
    pulled(lake, sample_server, did)
    sample_server.faults.clear()
    assert len(living(known_records(lake), did)) < len(in_repository(world.on(1), did))
    audited = run_audits(lake, sample_server, days=1_000)
    assert audited.rows[did]["missing_count"] == audited.rows[did]["healed_count"] > 0
    assert living(known_records(lake), did) == in_repository(world.on(1), did)
    state = bluesky.member_states(lake.pipeline())[did]
    assert (state["doubtful_end_uri"], state["audit"]["rev"]) == (None, world.on(1).rev(did))
    assert state["end_uri"] is None, "the feed was cut there: a later walk that gets as far has not read it to the end"
    posts = sum(check["collection"] == POST for check in audited.checks.values())
    assert audited.requests["getPosts"] == -(-posts // 25)
    assert run_audits(lake, sample_server, days=1_000).rows == {}


def links_of(day: Day, did: str) -> dict[bytes, bytes]:
    return {f"{one.collection}/{one.rkey}".encode(): cid_to_bytes(one.cid) for one in day.repository(did)}


def did_of(car: bytes) -> str:
    header, blocks = libipld.decode_car(car)
    did: str = blocks[header["roots"][0]]["did"]
    return did


def forged(day: Day, did: str, change: Callable[[dict[bytes, bytes]], object], key: Key | None = None) -> bytes:
    """Write a repository whose tree was changed, under the signature that stood over another one, or a key's own."""
    header, blocks = libipld.decode_car(repository_car(day, did))
    signed = blocks[header["roots"][0]]
    links = links_of(day, did)
    change(links)
    written = {cid: libipld.encode_dag_cbor(block) for cid, block in blocks.items()}
    unsigned = {name: value for name, value in signed.items() if name != "sig"}
    unsigned["data"] = encode(tree(links), written)
    return car_of(commit(unsigned, written, key or _OldSignature(signed["sig"])))


class _OldSignature(Key):
    """Signs with what was made over something else."""

    def __init__(self, signature: bytes) -> None:
        self._signature = signature

    def sign(self, data: bytes, *, is_low_s: bool = True) -> bytes:
        return self._signature


def leave_alone(links: dict[bytes, bytes]) -> None:
    """Change nothing."""


def add_a_record(links: dict[bytes, bytes]) -> None:
    links[b"app.bsky.feed.post/3zzzzzzzzzzz2"] = link_to(b"\xa0")


BROKEN: Final[dict[str, tuple[Callable[[Day, str], bytes], str]]] = {
    "a record removed": (lambda day, did: forged(day, did, lambda links: links.popitem()), "signature: "),
    "a record added": (lambda day, did: forged(day, did, add_a_record), "signature: "),
    "an old commit": (lambda day, did: repository_car(day.world.on(1), did), "rev: the commit is an old one"),
    "another key": (lambda day, did: forged(day, did, leave_alone, key_of("somebody")), "signature: "),
    "a repost changed": (
        lambda day, did: repository_car(day, did).replace(
            b"$typetapp.bsky.feed.repost", b"$typetapp.bsky.feed.repast", 1
        ),
        "block: something in",
    ),
    "a like changed": (
        lambda day, did: repository_car(day, did).replace(b"$typerapp.bsky.feed.like", b"$typerapp.bsky.feed.lake", 1),
        "block: something in",
    ),
    "cut short": (lambda day, did: repository_car(day, did)[:-100], "car: the file is cut short"),
}


@pytest.mark.slow
def test_what_proves_nothing_is_refused_and_nothing_is_claimed_from_it(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    """Everybody's repository is broken in a way of its own; later all are whole again."""
    day = world.on(5)
    active = [did for did, actor in day.actors.items() if actor.is_available(day.now) and actor.is_available(DAY_ONE)]
    active.sort(key=lambda did: len(day.records(did, REPOST)) if day.records(did, LIKE) else 0)
    breaking = dict(zip(active[-len(BROKEN) :], BROKEN.values(), strict=True))
    pulled(lake, sample_server, *breaking)
    states = bluesky.member_states(lake.pipeline())
    sample_server.day = 5

    def broken(car: bytes) -> bytes:
        did = did_of(car)
        return breaking[did][0](day, did)

    sample_server.faults.mutate(broken, nsid=GET_REPO)
    audited = run_audits(lake, sample_server)
    for did, (_, error) in breaking.items():
        row = audited.rows[did]
        assert (row["outcome"], row["expected_count"], row["gone_count"]) == ("refused", None, None)
        assert row["error"].startswith(error)
        assert f"{did}: refused: {row['error']}" in str(audited.summary)
        assert living(audited.known, did) != in_repository(day, did)
    assert audited.checks == audited.shown == audited.kept == {}
    assert audited.summary.exit_code == 2
    assert known_records(lake) == audited.known
    refused = {"audited_at": day.now.isoformat(), "rev": None, "is_whole": False}
    remembered = {did: {**state, "audit": refused} for did, state in states.items()}
    assert bluesky.member_states(lake.pipeline()) == remembered

    next_night = run_audits(lake, sample_server, at=day.now + timedelta(days=1))
    assert (next_night.rows, next_night.requests.total(), next_night.summary.exit_code) == ({}, 0, 2)
    assert all(f"{did}: not whole when audited at " in str(next_night.summary) for did in breaking)

    sample_server.faults.clear()
    later = run_audits(lake, sample_server, at=day.now + timedelta(days=7))
    assert {row["outcome"] for row in later.rows.values()} == {"verified"}
    assert later.summary.exit_code == 0
    known = known_records(lake)
    for did in breaking:
        assert living(known, did) == in_repository(day, did)


def is_whole(audit: OneAudit) -> bool:
    assert audit.next_state is not None
    return was_whole(audit.next_state)


# One member, without a lake: what is known is what was there on day 1, and the audit is of day 5.


def test_a_document_without_a_key_is_refused(sample_server: SampleServer, did: str) -> None:
    sample_server.faults.mutate(lambda body: body.replace(b"publicKeyMultibase", b"x"), nsid=f"/{did}")
    audit = audit_one(sample_server, did)
    assert audit.row["outcome"] == "refused"
    assert audit.row["error"].startswith("signing key: the DID document names none")


@pytest.mark.parametrize("lacking", [(GET_REPO,), (GET_REPO, LATEST)], ids=len)
def test_where_there_are_only_lists_they_are_taken_and_nothing_is_verified(
    sample_server: SampleServer, world: World, did: str, lacking: tuple[str, ...]
) -> None:
    for nsid in lacking:
        sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=nsid, times=None)
    audit = audit_one(sample_server, did)
    assert audit.row["outcome"] == "listed"
    assert audit.row["rev"] == (None if LATEST in lacking else world.on(5).rev(did))
    assert audit.row["error"].startswith("nothing is verified, as there are only lists")
    assert is_whole(audit)
    sample_server.faults.clear()
    proved = audit_one(sample_server, did)
    assert audit.outcomes == proved.outcomes
    for name in ("expected", "present", "missing", "healed", "hidden", "unreadable", "gone"):
        assert audit.row[f"{name}_count"] == proved.row[f"{name}_count"]


def test_a_list_that_ends_early_makes_nothing_gone(sample_server: SampleServer, world: World, did: str) -> None:
    sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=GET_REPO, times=None)
    sample_server.faults.add(Fault.ENDS_EARLY, nsid="com.atproto.repo.listRecords", times=None)
    audit = audit_one(sample_server, did)
    gone = {uri for uri, outcome in audit.outcomes.items() if outcome == "record_gone"}
    assert gone == known_on_day_one(world, did).keys() - in_repository(world.on(5), did).keys()
    assert audit.row["outcome"] == "listed"


@pytest.mark.parametrize("nsid", [LATEST, GET_REPO])
@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.RESET, Fault.RATE_LIMITED, Fault.CLOSED_IN_BODY])
def test_an_audit_that_fails_tells_nothing_and_stays_due(
    sample_server: SampleServer, did: str, nsid: str, fault: Fault
) -> None:
    sample_server.faults.add(fault, nsid=nsid, times=None)
    audit = audit_one(sample_server, did)
    assert (audit.row["outcome"], audit.next_state, audit.outcomes) == ("failed", None, {})
    assert nsid in audit.row["error"]


@pytest.mark.parametrize("status", [DEACTIVATED, SUSPENDED, DELETED])
def test_who_is_not_served_is_unavailable(sample_server: SampleServer, world: World, status: str) -> None:
    sample_server.day = 7
    day = world.on(7)
    did = next(did for did, actor in day.actors.items() if actor.status(day.now) == status)
    audit = audit_one(sample_server, did, day=7)
    assert (audit.row["outcome"], audit.next_state, audit.outcomes) == ("unavailable", None, {})


def test_a_repository_is_asked_for_again_before_its_first_byte(sample_server: SampleServer, did: str) -> None:
    sample_server.faults.add(Fault.UNAVAILABLE, nsid=GET_REPO, times=2)
    assert audit_one(sample_server, did, max_attempts=3).row["outcome"] == "verified"
    assert sum(request.nsid == GET_REPO for request in sample_server.requests) == 3


def test_what_the_service_hides_is_there_and_hidden(sample_server: SampleServer, world: World, did: str) -> None:
    sample_server.faults.mutate(lambda _: b'{"posts":[]}', nsid=GET_POSTS)
    audit = audit_one(sample_server, did)
    hidden = {uri: check for uri, check in audit.checks.items() if check["outcome"] == "hidden_by_service"}
    assert audit.row["hidden_count"] == len(hidden) > 0
    assert audit.row["missing_count"] == audit.row["healed_count"] + len(hidden)
    assert all(json.loads(check["raw"])["value"]["$type"] == POST for check in hidden.values())
    assert hidden.keys() <= in_repository(world.on(5), did).keys()
    assert is_whole(audit)


def test_where_the_service_does_not_answer_the_audit_is_not_whole_and_made_anew(
    sample_server: SampleServer, world: World, did: str
) -> None:
    sample_server.faults.add(Fault.INTERNAL_ERROR, nsid=GET_POSTS, times=None)
    audit = audit_one(sample_server, did)
    assert (audit.row["outcome"], is_whole(audit)) == ("verified", False)
    assert audit.row["unreadable_count"] > 0
    assert audit.row["missing_count"] == audit.row["healed_count"] + audit.row["unreadable_count"]
    sample_server.faults.clear()
    again = audit_one(sample_server, did, last=audit.next_state)
    assert (again.row["outcome"], is_whole(again)) == ("verified", True), "though the revision is the same"


def test_a_post_that_the_service_shows_in_another_version_is_not_healed(
    sample_server: SampleServer, world: World, did: str
) -> None:
    whole = audit_one(sample_server, did)
    shown = [uri for uri, outcome in whole.outcomes.items() if outcome == "shown"]
    old_cid = cid_text(link_to(b"what stood there before"))

    def behind(body: bytes) -> bytes:
        posts = json.loads(body)["posts"]
        for post in posts:
            if post["uri"] == shown[0]:
                post["cid"] = old_cid
        return json.dumps({"posts": posts}).encode()

    sample_server.faults.mutate(behind, nsid=GET_POSTS)
    audit = audit_one(sample_server, did)
    assert audit.outcomes == whole.outcomes
    assert audit.row["expected_count"] == whole.row["expected_count"]
    assert audit.row["healed_count"] == whole.row["healed_count"] - 1
    assert (audit.row["unreadable_count"], is_whole(audit), is_whole(whole)) == (1, False, True)


@pytest.mark.parametrize("is_unchanged", [False, True], ids=["verified", "unchanged"])
def test_an_audit_takes_the_doubt_away_and_leaves_the_known_end(
    sample_server: SampleServer, did: str, is_unchanged: bool
) -> None:
    """Where a feed is cut, a lake that lacks nothing says nothing of its end."""
    appview = AppView(sample_server.url, Pacer(100_000))
    network, now = Network(appview, Repositories(appview, sample_server.url), sample_server.url), evening(5)
    for refused in (True, False):
        state = MemberState(
            cursor=None,
            pulled_at=now.isoformat(),
            swept_at="",
            end_uri="the oldest",
            doubtful_end_uri="where it was cut",
        )
        if is_unchanged:
            state["audit"] = AuditState(
                audited_at=now.isoformat(), rev=sample_server.world.on(5).rev(did), is_whole=not refused
            )
        if refused:
            sample_server.faults.mutate(lambda car: car[:-100], nsid=GET_REPO)
        audits = Audits(network, lambda: now, lambda did: known_on_day_one(sample_server.world, did), NOTHING_KEPT)
        audits.begin({did: state}, [did])
        states = {did: state}
        list(audits.tables(states))
        state = states[did]
        sample_server.faults.clear()
        assert list(audits.outcomes) == ["refused" if refused else "unchanged" if is_unchanged else "verified"]
        assert state["end_uri"] == "the oldest"
        assert state["doubtful_end_uri"] == ("where it was cut" if refused else None)


def test_an_older_commit_is_refused_after_an_audit_that_was_not_whole(
    sample_server: SampleServer, world: World, did: str
) -> None:
    """What was proved once counts; what a server only says does not."""
    sample_server.faults.add(Fault.INTERNAL_ERROR, nsid=GET_POSTS, times=None)
    unanswered = audit_one(sample_server, did)
    sample_server.faults.clear()
    last = unanswered.next_state
    for _ in range(2):
        sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=LATEST, times=None)
        sample_server.faults.mutate(lambda _: repository_car(world.on(1), did), nsid=GET_REPO)
        audit = audit_one(sample_server, did, last=last)
        sample_server.faults.clear()
        assert audit.row["error"].startswith("rev: the commit is an old one")
        assert audit.next_state is not None
        assert audit.next_state["rev"] == world.on(5).rev(did)
        last = audit.next_state

    def ahead(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | {"rev": "7zzzzzzzzzzzz"}).encode()

    sample_server.faults.mutate(ahead, nsid=LATEST)
    boasting = audit_one(sample_server, did)
    assert boasting.row["outcome"] == "refused"
    assert boasting.next_state is not None
    assert boasting.next_state["rev"] is None
    assert not is_whole(boasting)


def test_a_block_that_cannot_be_read_is_named(sample_server: SampleServer, world: World, did: str) -> None:
    day, rubbish = world.on(5), b"\xff"

    def with_rubbish(_: bytes) -> bytes:
        blocks = {link_to(rubbish): rubbish}
        links = links_of(day, did) | {f"{REPOST}/2222222222222".encode(): link_to(rubbish)}
        unsigned = {"did": did, "version": 3, "data": encode(tree(links), blocks), "rev": day.rev(did), "prev": None}
        return car_of(commit(unsigned, blocks, signing_key(day, did)))

    whole = audit_one(sample_server, did)
    sample_server.faults.mutate(with_rubbish, nsid=GET_REPO)
    audit = audit_one(sample_server, did)
    check = audit.checks[f"at://{did}/{REPOST}/2222222222222"]
    assert (check["outcome"], check["cid"]) == ("unknown", cid_text(link_to(rubbish)))
    assert check["error"].startswith("the repository has a block that cannot be read")
    # The CAR has no other blocks of records: the reposts are asked for.
    assert whole.outcomes.items() < audit.outcomes.items()
    assert (audit.row["outcome"], audit.row["unreadable_count"]) == ("verified", 1)
    assert audit.row["missing_count"] == audit.row["healed_count"] + 1
    assert is_whole(audit)


def test_the_last_audits_revision_is_not_audited_again(sample_server: SampleServer, did: str) -> None:
    first = audit_one(sample_server, did)
    sample_server.requests.clear()
    again = audit_one(sample_server, did, last=first.next_state)
    assert (again.row["outcome"], again.row["rev"], again.outcomes) == ("unchanged", first.row["rev"], {})
    assert is_whole(again)
    assert [request.nsid for request in sample_server.requests] == [f"/{did}", LATEST]


def test_a_wrong_clock_of_this_machine_does_not_count(sample_server: SampleServer, world: World, did: str) -> None:
    appview = AppView(sample_server.url, Pacer(100_000))
    appview.clock = ServiceClock(lambda: utc_now() + timedelta(days=365))
    network = Network(appview, Repositories(appview, sample_server.url), sample_server.url)
    audits = Audits(network, appview.clock, lambda did: known_on_day_one(world, did), NOTHING_KEPT)
    states: dict[str, MemberState] = {
        did: {"cursor": None, "pulled_at": "", "swept_at": "", "end_uri": None, "doubtful_end_uri": None}
    }
    audits.begin(states, [did])
    seen = [
        datetime.fromisoformat(str(time))
        for table in audits.tables(states)
        for time in table["observed_at"].to_pylist()
    ]
    assert len(seen) > 10
    assert max(seen) - min(seen) < timedelta(minutes=5) > abs(seen[0] - utc_now())
    assert abs(datetime.fromisoformat(states[did]["audit"]["audited_at"]) - utc_now()) < timedelta(minutes=5)


RKEYS: Final = st.sampled_from([f"3k{n:011d}".replace("0", "z").replace("1", "y") for n in range(12)])
CIDS: Final = st.sampled_from(["one", "two"])
RECORDS: Final = st.dictionaries(st.tuples(st.sampled_from([POST, REPOST, "app.bsky.feed.like"]), RKEYS), CIDS)
KNOWN: Final = st.dictionaries(
    st.tuples(st.sampled_from([POST, REPOST]), RKEYS), st.tuples(st.none() | CIDS, st.booleans())
)


@given(RECORDS, KNOWN, RKEYS)
def test_a_comparison_tells_all_that_differs(
    records: dict[tuple[str, str], str], known: dict[tuple[str, str], tuple[str | None, bool]], rev: str
) -> None:
    def uri(path: tuple[str, str]) -> str:
        return f"at://did:plc:a/{path[0]}/{path[1]}"

    comparison = Comparison("did:plc:a", {uri(path): KnownRecord(*of) for path, of in known.items()})
    missing = [
        (one.collection, one.rkey)
        for one in comparison.missing(RepoRecord(*path, cid) for path, cid in records.items())
    ]
    audited = {path: cid for path, cid in records.items() if path[0] in (POST, REPOST)}
    present = {path for path, cid in audited.items() if path in known and known[path] in ((cid, False), (None, False))}
    assert set(missing) == audited.keys() - present
    assert len(missing) == len(set(missing))
    assert comparison.present_count == len(present)
    assert comparison.expected_count == len(audited)
    assert comparison.record_counts == Counter(path[0] for path in records)
    assert set(comparison.gone(rev)) == {
        uri(path) for path, (_, is_gone) in known.items() if path not in records and not is_gone and path[1] <= rev
    }
