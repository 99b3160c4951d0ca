"""Audits: what a repository proves is in the lake, what it lacks is gone, and what proves nothing is refused."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import bluesky
from pipelines.network.repo_proof import RepoRecord
from pipelines.sample.appview.faults import Fault
from pipelines.sample.appview.repo_writer import Key, car_of, commit, encode, key_of, tree
from pipelines.sample.appview.signed_repositories import repository_car, signing_key
from pipelines.sample.world.blocks import cid_text, cid_to_bytes, link_to
from pipelines.sample.world.truth import POST, REPOST
from pipelines.sources.repository_comparison import Comparison, KnownRecord
from tests.sources.audits import in_repository, known_records, living, run_audits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import Day, World
    from tests.conftest import Lake

GET_REPO: Final = "com.atproto.sync.getRepo"
GET_POSTS: Final = "app.bsky.feed.getPosts"
LATEST: Final = "com.atproto.sync.getLatestCommit"


@pytest.fixture
def did(world: World) -> str:
    return world.actor("tomasz").did


def pulled(lake: Lake, server: SampleServer, *dids: str, day: int = 1) -> None:
    server.day = day
    lake.pull(server, actors=list(dids))


def test_after_an_audit_the_lake_is_what_the_repositories_are(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    """The pull is of day 1 and the audit of day 7, so that records are new, edited, deleted and hidden."""
    lake.pull(sample_server)
    sample_server.day = 7
    audited = run_audits(lake, sample_server)
    before, after = audited.known, known_records(lake)
    day = world.on(7)
    assert audited.summary.exit_code == 0
    assert len(audited.rows) > 20
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
    assert again.checks == again.shown == {}


def test_a_doubtful_end_makes_an_audit_due_and_the_audit_settles_it(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    sample_server.faults.add(Fault.ENDS_EARLY, actor=did)
    pulled(lake, sample_server, did)
    sample_server.faults.clear()
    assert len(living(known_records(lake), did)) < len(in_repository(world.on(1), did))
    audited = run_audits(lake, sample_server, days=1_000)
    assert audited.rows[did]["missing_count"] == audited.rows[did]["healed_count"] > 0
    assert living(known_records(lake), did) == in_repository(world.on(1), did)
    state = bluesky.member_states(lake.pipeline())[did]
    assert (state["doubtful_end_uri"], state["audit"]["rev"]) == (None, world.on(1).rev(did))
    posts = sum(check["collection"] == POST for check in audited.checks.values())
    assert audited.requests["getPosts"] == -(-posts // 25)
    assert run_audits(lake, sample_server, days=1_000).rows == {}


def forged(day: Day, did: str, change: Callable[[dict[bytes, bytes]], object], key: Key | None = None) -> bytes:
    """Write a repository whose tree was changed, under the signature that stood over another one, or a key's own."""
    root, blocks = libipld.decode_car(repository_car(day, did))
    signed = blocks[cid_to_bytes(root["roots"][0]) if isinstance(root["roots"][0], str) else root["roots"][0]]
    links = {f"{one.collection}/{one.rkey}".encode(): cid_to_bytes(one.cid) for one in day.repository(did)}
    change(links)
    written = {cid: libipld.encode_dag_cbor(block) for cid, block in blocks.items()}
    unsigned = {name: value for name, value in signed.items() if name != "sig"}
    unsigned["data"] = encode(tree(links), written)
    if key is None:
        return car_of(commit(unsigned, written, _Replay(signed["sig"])))
    return car_of(commit(unsigned, written, key))


class _Replay(Key):
    """A signature that was made over something else."""

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
    "a record changed": (
        lambda day, did: repository_car(day, did).replace(b"createdAt", b"createdat", 1),
        "block: something in",
    ),
    "cut short": (lambda day, did: repository_car(day, did)[:-100], "car: the file is cut short"),
}


def test_what_proves_nothing_is_refused_and_nothing_is_claimed_from_it(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    pulled(lake, sample_server, did)
    before, states = living(known_records(lake), did), bluesky.member_states(lake.pipeline())
    sample_server.day = 5
    assert in_repository(world.on(5), did).keys() != before.keys()
    for broken, error in BROKEN.values():
        sample_server.faults.mutate(lambda _, broken=broken: broken(world.on(5), did), nsid=GET_REPO)
        audited = run_audits(lake, sample_server, [did])
        sample_server.faults.clear()
        row = audited.rows[did]
        assert (row["outcome"], row["expected_count"], row["gone_count"]) == ("refused", None, None)
        assert row["error"].startswith(error)
        assert audited.checks == audited.shown == {}
        assert audited.summary.exit_code == 2
        assert row["error"] in str(audited.summary)
        assert living(known_records(lake), did) == before
        assert bluesky.member_states(lake.pipeline()) == states
    assert run_audits(lake, sample_server, [did]).rows[did]["outcome"] == "verified"
    assert living(known_records(lake), did) == in_repository(world.on(5), did)


def test_a_document_without_a_key_is_refused(lake: Lake, sample_server: SampleServer, did: str) -> None:
    pulled(lake, sample_server, did)
    sample_server.faults.mutate(lambda body: body.replace(b"publicKeyMultibase", b"x"), nsid=f"/{did}")
    audited = run_audits(lake, sample_server, [did])
    assert audited.rows[did]["outcome"] == "refused"
    assert audited.rows[did]["error"].startswith("signing key: the DID document names none")


def test_where_there_are_only_lists_they_are_taken_and_nothing_is_verified(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    pulled(lake, sample_server, did)
    sample_server.day = 4
    for nsid in (GET_REPO, LATEST):
        sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=nsid, times=None)
    row = run_audits(lake, sample_server, [did]).rows[did]
    assert (row["outcome"], row["rev"]) == ("listed", None)
    assert row["error"].startswith("nothing is verified, as there are only lists")
    assert row["expected_count"] == row["present_count"] + row["missing_count"]
    assert row["missing_count"] == row["healed_count"] > 0
    assert row["gone_count"] > 0
    assert living(known_records(lake), did) == in_repository(world.on(4), did)


def test_a_list_that_ends_early_makes_nothing_gone(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    pulled(lake, sample_server, did)
    before = living(known_records(lake), did)
    sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=GET_REPO, times=None)
    sample_server.faults.add(Fault.ENDS_EARLY, nsid="com.atproto.repo.listRecords")
    row = run_audits(lake, sample_server, [did]).rows[did]
    assert (row["outcome"], row["gone_count"]) == ("listed", 0)
    assert before.items() <= living(known_records(lake), did).items()


@pytest.mark.parametrize("nsid", [LATEST, GET_REPO])
@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.RESET, Fault.RATE_LIMITED, Fault.CLOSED_IN_BODY])
def test_an_audit_that_fails_leaves_all_as_it_was(
    lake: Lake, sample_server: SampleServer, did: str, nsid: str, fault: Fault
) -> None:
    lake.client["max_attempts"] = 2
    pulled(lake, sample_server, did)
    before, states = living(known_records(lake), did), bluesky.member_states(lake.pipeline())
    sample_server.faults.add(fault, nsid=nsid, times=None)
    audited = run_audits(lake, sample_server, [did])
    assert audited.rows[did]["outcome"] == "failed"
    assert nsid in audited.rows[did]["error"]
    assert audited.summary.exit_code == 2
    assert living(known_records(lake), did) == before
    assert bluesky.member_states(lake.pipeline()) == states


def test_a_repository_is_asked_for_again_before_its_first_byte(
    lake: Lake, sample_server: SampleServer, did: str
) -> None:
    pulled(lake, sample_server, did)
    sample_server.faults.add(Fault.UNAVAILABLE, nsid=GET_REPO, times=2)
    audited = run_audits(lake, sample_server, [did])
    assert (audited.rows[did]["outcome"], audited.requests["getRepo"]) == ("verified", 3)


def test_what_the_service_hides_is_there_and_hidden(
    lake: Lake, sample_server: SampleServer, world: World, did: str
) -> None:
    pulled(lake, sample_server, did)
    sample_server.day = 4
    sample_server.faults.mutate(lambda _: b'{"posts":[]}', nsid=GET_POSTS)
    audited = run_audits(lake, sample_server, [did])
    row = audited.rows[did]
    hidden = {uri: check for uri, check in audited.checks.items() if check["outcome"] == "hidden_by_service"}
    assert row["hidden_count"] == len(hidden) > 0
    assert row["missing_count"] == row["healed_count"] + row["hidden_count"]
    assert all(json.loads(check["raw"])["value"]["$type"] == POST for check in hidden.values())
    assert hidden.keys() <= in_repository(world.on(4), did).keys()


def test_where_the_service_does_not_answer_the_audit_stays_due(
    lake: Lake, sample_server: SampleServer, did: str
) -> None:
    lake.client["max_attempts"] = 1
    pulled(lake, sample_server, did)
    sample_server.day = 4
    sample_server.faults.add(Fault.INTERNAL_ERROR, nsid=GET_POSTS, times=None)
    audited = run_audits(lake, sample_server, [did])
    assert (audited.rows[did]["outcome"], audited.summary.exit_code) == ("verified", 2)
    assert audited.rows[did]["unreadable_count"] > 0
    assert "audit" not in bluesky.member_states(lake.pipeline())[did]


def test_a_block_that_cannot_be_read_is_named(lake: Lake, sample_server: SampleServer, world: World, did: str) -> None:
    pulled(lake, sample_server, did)
    day, uri = world.on(1), f"at://{did}/{REPOST}/3zzzzzzzzzzz2"

    def with_rubbish(_: bytes) -> bytes:
        blocks = {link_to(b"\xff"): b"\xff"}
        links = {f"{REPOST}/3zzzzzzzzzzz2".encode(): link_to(b"\xff")}
        links |= {f"{one.collection}/{one.rkey}".encode(): cid_to_bytes(one.cid) for one in day.repository(did)}
        unsigned = {"did": did, "version": 3, "data": encode(tree(links), blocks), "rev": day.rev(did), "prev": None}
        return car_of(commit(unsigned, blocks, signing_key(day, did)))

    sample_server.faults.mutate(with_rubbish, nsid=GET_REPO)
    audited = run_audits(lake, sample_server, [did])
    check = audited.checks[uri]
    assert check["outcome"] == "unknown"
    assert check["error"].startswith("the repository has a block that cannot be read")
    assert check["cid"] == cid_text(link_to(b"\xff"))
    row = audited.rows[did]
    assert (row["outcome"], row["unreadable_count"]) == ("verified", 1)
    assert row["missing_count"] == row["healed_count"] + 1
    assert bluesky.member_states(lake.pipeline())[did]["audit"]["rev"] == day.rev(did)


RKEYS: Final = st.sampled_from([f"3k{n:011d}".replace("0", "z").replace("1", "y") for n in range(12)])
CIDS: Final = st.sampled_from(["one", "two"])
RECORDS: Final = st.dictionaries(st.tuples(st.sampled_from([POST, REPOST, "app.bsky.feed.like"]), RKEYS), CIDS)
KNOWN: Final = st.dictionaries(
    st.tuples(st.sampled_from([POST, REPOST]), RKEYS), st.tuples(st.none() | CIDS, st.booleans())
)


@given(RECORDS, KNOWN, RKEYS)
def test_a_comparison_tells_all_that_differs(
    records: dict[Any, str], known: dict[Any, tuple[str | None, bool]], rev: str
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
