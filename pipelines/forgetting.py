"""Forgetting somebody: `python pipelines/bluesky.py --forget HANDLE_OR_DID`.

After it, no file of the lake has their rows, or names them in somebody else's; and no later run brings them back. What
was made from the lake goes with it: the warehouse, the page, dlt's working folders. They are made anew, without them.

Whom it forgets is written down first, and the list of who is kept out next. A crash at any point leaves files that are
as they were and files that are clean; the command, given anybody or nobody else, finishes what it finds written down.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dlt

from pipelines.digest.files import FILES as DIGEST_FILES
from pipelines.events.event_json import read_json_event
from pipelines.events.spool import Spool
from pipelines.lake.bucket import PROJECT_ROOT, LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.forget_states import forget_in_posts_under_way, forget_in_states, remove_left_overs
from pipelines.lake.forget_tables import LakeFiles, Rewritten
from pipelines.lake.forget_warehouse import remove_warehouse
from pipelines.lake.forgotten import read_forgotten, write_forgotten
from pipelines.lake.lease import lease
from pipelines.lake.left_out import forget_left_out
from pipelines.lake.marts_database import forget_exported
from pipelines.lake.people_files import read_people_file, remove_people_file, write_people_file
from pipelines.lake.scrubbing import Scrubber, normalized
from pipelines.lake.working_folder import only_one, open_pipeline, remove_working_folder
from pipelines.network.identifiers import UnrecognizedLink, expect_kind, is_did, read_link
from pipelines.network.resolve import resolve_actor
from pipelines.sources.clients import configured_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from pipelines.lake.duckdb_settings import DuckDBSettings

PIPELINES: Final = (
    "bluesky",
    "bluesky_jetstream",
    "bluesky_firehose",
    "bluesky_webhook",
    "bluesky_kafka",
    "bluesky_kafka_bridge",
    "bluesky_compact",
)
SAMPLE_PIPELINES: Final = (
    "bluesky_sample",
    "bluesky_sample_jetstream",
    "bluesky_sample_firehose",
    "bluesky_sample_compact",
)

_UNDER_WAY: Final = "forgetting.json"


def forget(person: str, console: Console, *, is_sample: bool, is_dry_run: bool) -> None:
    """Forget somebody.

    Args:
        person: Their DID, handle or profile link.
        console: Where to say what was done.
        is_sample: Whether the sample's lake is meant.
        is_dry_run: Whether to count only.

    Raises:
        AnotherRun: Another job uses the lake on this machine.
        LakeError: That is nobody whom the lake knows, or the lake or the warehouse cannot be used.
        NetworkError: The lake does not know the handle, and nobody else could be asked.
    """
    try:
        authority = expect_kind("actor", person, read_link(person)).authority
    except UnrecognizedLink as error:
        raise LakeError(str(error)) from error
    names = SAMPLE_PIPELINES if is_sample else PIPELINES
    with ExitStack() as alone:
        for name in names:
            alone.enter_context(only_one(name))
        pipeline, settings = open_pipeline(names[0]), duckdb_settings(names[0])
        if settings.warehouse_path.exists():
            settings.open_warehouse().close()  # Whoever has it open would go on with it.
        begun = _under_way(pipeline)
        if begun and not is_dry_run:
            _say(console, "An earlier run was broken off: it is finished first.")
            _forget_everywhere(pipeline, settings, names, begun, console)
        files = LakeFiles(pipeline, settings)
        did = _did_of(authority, files, is_sample=is_sample)
        handles, shared = files.handles_of(did)
        if authority != did:
            _say(console, f"{authority} is {did}.")
            handles |= {authority} - shared
        identifiers = sorted({normalized(did), *handles})
        # A DID that is mistyped is a DID: nobody says that it leads to nobody.
        if not (handles or shared) and not _forget_in_tables(files, identifiers).files:
            if not read_forgotten(pipeline).names(did):
                raise LakeError(f"No file of the lake names {did}: nothing was changed.")
            _say(console, "They are forgotten, and no file names them.")
            return
        if shared:
            _say(console, f"{len(shared)} handles of theirs are somebody else's too: texts that name these stay.")
        packs = files.founded_pack_count(did)
        if packs:
            _say(console, f"They founded {packs} of the packs: what the lake knows of these packs goes with them.")
        if is_dry_run:
            _say_rows(console, "would go", _forget_in_tables(files, identifiers))
            _say(console, "So would the warehouse and the page, which the next night makes anew.")
        else:
            write_people_file(pipeline, _UNDER_WAY, json.dumps(identifiers))
            _forget_everywhere(pipeline, settings, names, identifiers, console)


def _did_of(authority: str, files: LakeFiles, *, is_sample: bool) -> str:
    if is_did(authority):
        return authority
    known = files.did_of(authority)
    if known:
        return known
    if is_sample:
        raise LakeError(f"Nobody in the sample's lake has the handle {authority}.")
    return resolve_actor(authority, configured_network().appview)


def _under_way(pipeline: dlt.Pipeline) -> list[str]:
    text = read_people_file(pipeline, _UNDER_WAY)
    identifiers: list[str] = json.loads(text) if text else []
    return identifiers


def _forget_everywhere(
    pipeline: dlt.Pipeline, settings: DuckDBSettings, names: Iterable[str], identifiers: Sequence[str], console: Console
) -> None:
    # From here on nobody brings them back, whatever becomes of this run.
    write_forgotten(pipeline, read_forgotten(pipeline).with_people(identifiers))
    scrubber = Scrubber.of(identifiers)
    with lease(pipeline) as held:
        done = _forget_in_tables(LakeFiles(pipeline, settings, held), identifiers)
    forget_in_states(pipeline, scrubber)
    forget_in_posts_under_way(pipeline, scrubber)
    forget_left_out(pipeline, scrubber)
    remove_left_overs(pipeline)
    _forget_in_spool(scrubber)
    _remove_what_was_made(pipeline, settings)
    _remove_what_dbt_wrote()
    for name in names:
        remove_working_folder(name)
    if pipeline.pipeline_name == PIPELINES[0]:
        forget_exported()  # The last, since it may be out of reach: then the next run goes on here.
    # What was made since the first line, by a run on another machine, is from before too.
    write_forgotten(pipeline, read_forgotten(pipeline).with_log(done.removed, done.changed, done.files))
    remove_people_file(pipeline, _UNDER_WAY)
    _say_rows(console, "went", done)
    _say(
        console,
        "The warehouse and the page are gone too: the next night makes them anew, or dbt build and report.py do.",
    )
    _say(console, "Files that were exported to a folder are out of reach: delete them.")


def _forget_in_tables(files: LakeFiles, identifiers: Iterable[str]) -> Rewritten:
    done = Rewritten()
    for table in files.tables:
        done.add(files.forget(table, identifiers))
    return done


def _forget_in_spool(scrubber: Scrubber) -> None:
    path = PROJECT_ROOT / dlt.config["sources.repo_events.webhook_spool"]
    if not path.exists():
        return

    def without(body: bytes) -> bytes | None:
        text = body.decode("utf-8", "replace")
        if not scrubber.finds(text):
            return body
        event = read_json_event(body, 0)
        if event is None or event.did is None or scrubber.finds(event.did):
            return None
        kept = scrubber.json(text)
        return None if kept is None else kept.encode()

    spool = Spool(path)
    try:
        spool.rewrite(without)
    finally:
        spool.close()


def _remove_what_was_made(pipeline: dlt.Pipeline, settings: DuckDBSettings) -> None:
    """Remove the warehouse, the page and the digest: the lake has all that is to be in them."""
    remove_warehouse(pipeline, settings)
    for name in ("report.html", *DIGEST_FILES):
        for file in (name, f".{name}.partial"):
            settings.warehouse_path.with_name(file).unlink(missing_ok=True)


def _remove_what_dbt_wrote() -> None:
    """Remove dbt's logs, statements and results: a name on its command line stands there, or a value in an error."""
    target = Path(os.environ.get("DBT_TARGET_PATH") or PROJECT_ROOT / "dbt" / "target")
    logs = Path(os.environ.get("DBT_LOG_PATH") or PROJECT_ROOT / "dbt" / "logs")
    for folder in (target / "compiled", target / "run"):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (target / "run_results.json", *logs.glob("dbt.log*")):
        file.unlink(missing_ok=True)


def _say_rows(console: Console, verb: str, done: Rewritten) -> None:
    _say(
        console,
        f"{done.removed:,} rows of theirs {verb}, {done.changed:,} of others without what names them;"
        f" {done.files:,} files",
    )


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False)
