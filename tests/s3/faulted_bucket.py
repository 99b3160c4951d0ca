"""A night, a live batch and a compaction into a bucket that fails, and what must hold of the lake all the while.

The jobs run in this process, by their commands' own functions: a process for each would cost more than all they do.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.versioned_state import decompress_state

from pipelines import bluesky, live
from pipelines.lake.bucket import use_project_settings
from pipelines.lake.duckdb_settings import DuckDBSettings
from pipelines.lake.s3 import ExistingBucketFileSystem
from pipelines.lake.tables import FEED_PULLS, LIVE_TABLES, RAW_TABLES, REPO_EVENTS, RawTable
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.world.days import evening
from pipelines.sources.member_states import MemberStates
from pipelines.sources.pull_run import PullRun
from pipelines.sources.repo_events import POST
from tests.conftest import isolated_lake
from tests.live.conftest import QUICK, fold, key_of
from tests.s3.faulting_proxy import KINDS, Fault, FaultingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import duckdb

    from pipelines.sample.world.world import World

Job = Literal["night", "batch", "compaction"]
JOBS: Final[tuple[Job, ...]] = ("night", "batch", "compaction")
MEMBERS: Final = ("nils", "ruth", "silent")
TABLES: Final = (*RAW_TABLES, *LIVE_TABLES)
STALL_SECONDS: Final = 0.25
LAKE: Final = "DESTINATION__FILESYSTEM__"

_sleep = asyncio.sleep


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        exit_code: Its own.
        said: What it printed where it complains.
    """

    exit_code: int
    said: str

    def assert_is_for_people(self) -> None:
        """It ends as documented, and says in one line, if at all, what became of it."""
        assert self.exit_code in {0, 1, 2}, self.said
        assert "Traceback" not in self.said, self.said
        assert self.said.count("\n") <= 1, self.said
        assert bool(self.said) == (self.exit_code != 0), self.said


def faults(request_count: int) -> list[Fault]:
    """Give the whole table: each kind of fault, once and lasting, at each request of a job."""
    return [
        Fault(kind, request, is_lasting)
        for request in range(1, request_count + 1)
        for kind in KINDS
        for is_lasting in (False, True)
    ]


DONE: Final = Outcome(0, "")


@dataclass
class Copy:
    """What a folder of the bucket holds, by the paths in the data set."""

    files: dict[str, bytes]

    def rows(self, table: RawTable) -> list[dict[str, Any]]:
        """All rows of a table; each of its files can be read."""
        columns = [*table.schema.names, "_dlt_load_id"]
        return [
            row
            for path, content in self.files.items()
            if path.startswith(f"{table.name}/") and path.endswith(".parquet")
            for row in pq.read_table(pa.BufferReader(content), columns=columns).to_pylist()
        ]

    def folded(self, table: RawTable) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Its rows by their key, as the models fold them; which load brought one makes no difference."""
        rows = self.rows(table)
        if table in LIVE_TABLES:
            return fold(rows) if "kind" in table.key else {tuple(row[name] for name in table.key): row for row in rows}
        keyed = {}
        for row in rows:
            row.pop("_dlt_load_id")
            keyed[tuple(row[name] for name in table.key)] = row
        return keyed

    def state(self, pipeline: str) -> dict[str, Any]:
        """The newest state of a pipeline, as another machine finds it."""
        paths = sorted(path for path in self.files if path.startswith(f"_dlt_pipeline_state/{pipeline}__"))
        if not paths:
            return {}
        newest: dict[str, Any] = decompress_state(json.loads(self.files[paths[-1]])["state"])["sources"]
        return newest

    def complete_loads(self) -> set[str]:
        """The loads from which something may be claimed."""
        states = [
            path.split("__")[1] for path in self.files if path.startswith("_dlt_pipeline_state/") and "__" in path
        ]
        loads = [content.splitlines() for path, content in self.files.items() if path.startswith("_dlt_loads/")]
        return {*states, *(json.loads(line)["load_id"] for lines in loads for line in lines)}


@dataclass
class FaultedBucket:
    """A bucket behind a proxy, with the sample's members, and copies of one lake.

    Attributes:
        proxy: Where the jobs think that the bucket is.
        server: The AppView.
        jetstream: What the live job listens to.
        events: All that the stream ever delivers.
        base: A lake after a first night, a few live batches and one compaction.
        requests: Those of each job that was counted.
        truths: And the lake after it.
    """

    proxy: FaultingProxy
    server: SampleServer
    jetstream: SampleJetstream
    files: ExistingBucketFileSystem
    bucket: str
    folder: Path
    events: list[StreamEvent]
    base: dict[str, bytes] = field(default_factory=dict)
    requests: dict[Job, list[str]] = field(default_factory=dict)
    truths: dict[Job, Copy] = field(default_factory=dict)
    _case: int = 0
    _machines: int = 0

    @property
    def members(self) -> list[str]:
        return [self.server.world.actor(name).did for name in MEMBERS]

    def begin(self) -> None:
        """Make the lake from which all cases go on."""
        with self.case(is_empty=True):
            assert self.night(1) == DONE
            for count in (5, 10):
                assert self.batch(count) == DONE
            assert self.compaction() == DONE
            for count in (15, 20):
                assert self.batch(count) == DONE
            self.base = self.copy().files

    @contextmanager
    def case(self, *, is_empty: bool = False) -> Iterator[None]:
        """Go on from the base in a folder of its own."""
        self._case += 1
        self.proxy.fail(None)
        if not is_empty:
            root = self._root()
            self.files.pipe({f"{root}/{path}": content for path, content in self.base.items()})
        os.environ[f"{LAKE}BUCKET_URL"] = f"s3://{self.bucket}/{self._prefix}"
        self.on_a_new_machine()
        yield

    def on_a_new_machine(self) -> None:
        """Go on without dlt's working folder."""
        self._machines += 1
        os.environ["DLT_DATA_DIR"] = str(self.folder / f"machine {self._machines}")
        use_project_settings()

    @property
    def _prefix(self) -> str:
        return f"case{self._case}"

    def _root(self) -> str:
        return f"{self.bucket}/{self._prefix}/bluesky"

    def copy(self) -> Copy:
        """Read the whole data set, past the proxy."""
        root = self._root()
        self.files.invalidate_cache()
        paths = [path for path in self.files.find(root) if not path.endswith("/")]
        content = self.files.cat(paths) if paths else {}
        return Copy({path.removeprefix(f"{root}/"): content[path] for path in paths})

    def night(self, day: int) -> Outcome:
        """Pull a day."""
        self.server.day = day
        now = self.server.world.on(day).now
        appview = AppView(self.server.url, Pacer(10_000), backoff=0.01)
        network = Network(appview, Repositories(appview, self.server.url), self.server.url)
        run = PullRun(lambda: now, network)
        return _run(lambda: bluesky.main(["--no-transform", "--no-report"], run=run))

    def batch(self, count: int) -> Outcome:
        """Load what the stream has delivered so far, which is so many events."""
        self.jetstream.log[:] = self.events[:count]
        return _run(lambda: live.main(["jetstream", "--until-caught-up"], limits=QUICK))

    def compaction(self) -> Outcome:
        """Compact, an hour after the last time."""
        with patch("pipelines.lake.compaction.READERS_NEED", 0.0), patch("pipelines.lake.lease.LASTS", 0.0):
            return _run(lambda: live.main(["compact"]))

    def do(self, job: Job) -> Outcome:
        """Do what the base lacks."""
        if job == "night":
            return self.night(2)
        return self.batch(len(self.events)) if job == "batch" else self.compaction()

    def count_requests(self, job: Job) -> int:
        """Tell how many requests a job makes of a bucket that does not fail; what it makes of the lake is the truth."""
        if job in self.truths:
            return len(self.requests[job])
        with self.case():
            assert self.do(job) == DONE
            self.requests[job] = [*self.proxy.requests]
            self.truths[job] = self.copy()
        return len(self.requests[job])

    def assert_a_fault_costs_nothing(self, job: Job, fault: Fault, *, same_machine: bool = True) -> Outcome:
        """Let a job meet a fault, and the next run find a bucket that is well.

        Args:
            job: Which.
            fault: What happens to it.
            same_machine: Whether the next run has the working folder of the first.
        """
        with self.case():
            self.proxy.fail(fault)
            outcome = self.do(job)
            self.proxy.heal()
            outcome.assert_is_for_people()
            copy = self.assert_nothing_is_claimed_that_is_not_there()
            if job == "compaction":
                assert copy.folded(REPO_EVENTS) == Copy(self.base).folded(REPO_EVENTS)
            if outcome.exit_code != 0:
                if not same_machine:
                    self.on_a_new_machine()
                assert self.do(job) == DONE
                copy = self.assert_nothing_is_claimed_that_is_not_there()
            self._assert_is_the_truth(job, copy)
            if job == "compaction":
                assert self.compaction() == self.compaction() == DONE
                rows = self.copy().rows(REPO_EVENTS)
                assert len(rows) == len(Copy(self.base).folded(REPO_EVENTS))
        return outcome

    def _assert_is_the_truth(self, job: Job, copy: Copy) -> None:
        for table in TABLES:
            found, true = copy.folded(table), self.truths[job].folded(table)
            if table is FEED_PULLS:  # A second walk of the same evening begins where the first ended.
                assert found.keys() == true.keys()
            else:
                assert found == true, f"{table.name} is not as it was to be"

    def assert_nothing_is_claimed_that_is_not_there(self) -> Copy:
        """Complete loads' walks, and the newest cursors and positions, promise only what the lake has."""
        copy = self.copy()
        items = {(row["member_did"], row["item_uri"]) for row in _feed(copy)}
        feeds = {
            (did, item.uri): (item.repost or item.post).indexed_at
            for day in (1, self.server.day)
            for did in self.members
            for item in self.server.world.on(day).feed(did)
        }
        complete = copy.complete_loads()
        claims = [row for row in copy.rows(FEED_PULLS) if row["_dlt_load_id"] in complete and row["outcome"] == "ok"]
        for (did, uri), at in feeds.items():
            for claim in claims:
                begins, ends = claim["covered_from"], claim["covered_to"]
                is_covered = ends is not None and at <= ends and (claim["reached_end"] or (begins and begins < at))
                if claim["member_did"] == did and is_covered:
                    assert (did, uri) in items, f"{claim} claims {uri}"
        own: Any = copy.state("bluesky").get("bluesky", {})
        members = MemberStates(own.get("resources", {}).get("author_feed", {}).get("members", [])).by_did()
        for (did, uri), at in feeds.items():
            cursor = members[did]["cursor"] if did in members else None
            if cursor and at <= datetime.fromisoformat(cursor):
                assert (did, uri) in items, f"the cursor is behind {uri}"
        heard = copy.folded(LIVE_TABLES[0])
        positions = copy.state("bluesky_jetstream").get("repo_events", {}).get("positions", {})
        for position in positions.values():
            for event in self.events:
                if event.seq <= position["cursor"]:
                    assert key_of(event) in heard, f"the position is behind {event}"
        return copy


def _feed(copy: Copy) -> list[dict[str, Any]]:
    return copy.rows(next(table for table in RAW_TABLES if table.name == "author_feed"))


def _run(command: Callable[[], int]) -> Outcome:
    """Run a command that knows no more of the bucket than a new process, and let nobody wait long to try again."""
    for known in ExistingBucketFileSystem._cache.values():
        known.invalidate_cache()

    async def hurried(seconds: float, *rest: Any) -> Any:
        return await _sleep(min(seconds, 0.01), *rest)

    said, printed = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(patch("asyncio.sleep", hurried))
        # Asking AWS' own files for what the settings say takes a third of a run.
        stack.enter_context(patch("pipelines.lake.place._of_aws", return_value=None))
        stack.enter_context(patch("pipelines.sources.micro_batches.PATIENCE_SECONDS", 5.0))
        stack.enter_context(patch.object(DuckDBSettings, "configure", _configure_impatiently))
        stack.enter_context(redirect_stdout(printed))
        stack.enter_context(redirect_stderr(said))
        exit_code = command()
    return Outcome(exit_code, said.getvalue())


_configure = DuckDBSettings.configure


def _configure_impatiently(settings: DuckDBSettings, connection: duckdb.DuckDBPyConnection) -> None:
    _configure(settings, connection)
    connection.execute("set http_timeout = 3")
    connection.execute("set http_retry_wait_ms = 1")


@contextmanager
def faulted_bucket(world: World, folder: Path, bucket: str, settings: Mapping[str, str]) -> Iterator[FaultedBucket]:
    """Set a lake up behind a proxy.

    Args:
        world: Whom the jobs ask, and what there is to be heard.
        folder: For what is written on this machine.
        bucket: The bucket's name.
        settings: Endpoint, key and secret, by the names of environment variables.
    """
    dids = {name: world.actor(name).did for name in MEMBERS}
    told = [
        event
        for event in world.events(world.on(1).now, evening(40))
        if event.did in dids.values() and getattr(event, "collection", POST) == POST
    ]
    endpoint = settings[f"{LAKE}CREDENTIALS__ENDPOINT_URL"]
    files = ExistingBucketFileSystem(
        key=settings[f"{LAKE}CREDENTIALS__AWS_ACCESS_KEY_ID"],
        secret=settings[f"{LAKE}CREDENTIALS__AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint,
        client_kwargs={"region_name": "auto"},
        # As dlt has it for whatever is not Amazon's.
        config_kwargs=dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required"),
    )
    with (
        FaultingProxy(endpoint) as proxy,
        SampleServer(world) as server,
        SampleJetstream() as jetstream,
        isolated_lake(folder),
        patch.dict(os.environ, settings),
    ):
        os.environ |= {
            f"{LAKE}CREDENTIALS__ENDPOINT_URL": proxy.endpoint,
            f"{LAKE}KWARGS": json.dumps({"config_kwargs": {"read_timeout": STALL_SECONDS}}),
            "SOURCES__BLUESKY__SERVICE": server.url,
            "SOURCES__BLUESKY__STARTER_PACKS": "[]",
            "SOURCES__BLUESKY__ACTORS": json.dumps([*dids.values()]),
            "SOURCES__REPO_EVENTS__JETSTREAM_SERVICE": jetstream.url,
        }
        events = [StreamEvent(number, event) for number, event in enumerate(told[:25], start=1)]
        found = FaultedBucket(proxy, server, jetstream, files, bucket, folder, events)
        found.begin()
        yield found
