"""Exports: from the marts to files that other tools open.

python pipelines/export.py tables --out FOLDER    marts as Parquet, CSV or JSON lines, with what each column means
python pipelines/export.py tables --out bucket    the same, into `marts/` in the lake's bucket
python pipelines/export.py database --out FILE    the same, as a DuckDB database; md:NAME is one on MotherDuck
python pipelines/export.py graph --out FOLDER     who is tied to whom, for Gephi, networkx, igraph
python pipelines/export.py ids --out FOLDER       the posts as URIs alone, the form in which they may be shared
python pipelines/export.py nightly                what `[export]` in the settings asks for, if anything
"""

from __future__ import annotations

if __name__ == "__main__":
    from pipelines.interruption import end_at_once_from_now

    end_at_once_from_now()  # The imports below take seconds.

import argparse
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import dlt
import duckdb

from pipelines.command import run_command
from pipelines.explain import explain
from pipelines.exports import database, datapackage
from pipelines.exports.graph import ALL as EVERYBODY
from pipelines.exports.graph import FORMATS as GRAPH_FORMATS
from pipelines.exports.graph import KINDS, PERIODS, Scope, expect_kinds, packs_in, read_graph, write_graph
from pipelines.exports.ids import post_uris
from pipelines.exports.marts import ExportError, choose
from pipelines.exports.pseudonyms import Pseudonyms, expect_secret, read_salt
from pipelines.exports.tables import FORMATS, write_table
from pipelines.exports.target import BUCKET, Target, open_target, whole
from pipelines.lake.bucket import LakeError, use_project_settings
from pipelines.lake.duckdb_settings import duckdb_settings, explain_warehouse_error
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.forget_warehouse import expect_built_after_forgetting
from pipelines.lake.left_out import expect_withheld, read_left_out
from pipelines.lake.loads import signal_behind
from pipelines.lake.marts_database import file_of, is_hosted
from pipelines.terminal import complain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pipelines.exports.tables import Format
    from pipelines.terminal import Terminal

PUBLISHED: Final = (
    "What may be published of a community on Bluesky, as somebody's lake saw it. People who asked not to be shown, and"
    " posts that were deleted by then, are not in it: leave out whoever asks you to, and whatever is deleted later."
)
ALL: Final = (
    "All that somebody's lake has of a community on Bluesky, also people who may not be shown and posts that were"
    " deleted: not to be published."
)
RENAMED: Final = " People have other names in it; their words are theirs, and can be searched for."


@contextmanager
def open_marts(name: str, *, is_all: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a warehouse to export from, with times in UTC.

    Args:
        name: The pipeline's.
        is_all: Whether also what may not be published is exported.

    Raises:
        ExportError: There is no warehouse, or it cannot be read.
        LakeError: It is from before somebody was forgotten or left out, or it cannot be opened.
    """
    settings = duckdb_settings(name)
    warehouse = settings.warehouse_path
    if not warehouse.exists():
        raise ExportError(
            f"There is no warehouse at {warehouse} yet: run python pipelines/bluesky.py, or with --sample."
        )
    expect_built_after_forgetting(settings)
    left_out = read_left_out(name)
    if left_out.unresolved and not is_all:
        raise ExportError(f"Nothing is exported. {left_out.unresolved[0]}")
    try:
        with settings.read_warehouse() as marts:
            if not is_all:
                expect_withheld(left_out, marts)
            marts.execute("set timezone = 'UTC'; set preserve_insertion_order = false; set enable_progress_bar = false")
            yield marts
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        reason = str(error).splitlines()[0]
        raise ExportError(f"{warehouse} lacks marts: build them with cd dbt && dbt build. ({reason})") from error
    except duckdb.IOException as error:
        raise ExportError(f"The files cannot be written: {str(error).splitlines()[0]}") from error
    except duckdb.OutOfMemoryException as error:
        raise ExportError(explain_warehouse_error(warehouse, error)) from error


def newest_observation(marts: duckdb.DuckDBPyConnection) -> datetime | None:
    """Read up to when the marts know anything."""
    row = marts.execute("select newest_observed_at from int_clock").fetchone()
    return row[0] if row else None


def export_tables(
    console: Terminal,
    models: list[str],
    form: Format,
    out: str,
    *,
    is_sample: bool,
    is_all: bool = False,
    is_renamed: bool = False,
) -> None:
    """Write marts as files, with a description of all their columns.

    Args:
        console: Where to say what is done.
        models: Which; if none, all of which it is known what may be published.
        form: The kind of files.
        out: Where to: see `open_target`.
        is_sample: Whether the sample's marts are meant.
        is_all: Whether also what may not be published is exported.
        is_renamed: Whether people get other names.

    Raises:
        ExportError: Nothing, or not all of it, can be exported.
    """
    name = "bluesky_sample" if is_sample else "bluesky"
    with ExitStack() as stack:
        marts = stack.enter_context(open_marts(name, is_all=is_all))
        chosen = choose(marts, models, is_all=is_all, is_renamed=is_renamed)
        target = stack.enter_context(open_target(out, dlt.pipeline(name)))
        note = _note(is_all, is_renamed)
        before = target.read(datapackage.FILE)
        datapackage.expect_same_kind(before, note, target.place)
        pseudonyms = _pseudonyms(marts, name) if is_renamed else None
        written = []
        with console.status("") as status:
            for number, mart in enumerate(chosen, start=1):
                status.update(f"{number} of {len(chosen)}  {mart.name}")
                table = write_table(marts, mart, form, target.folder, pseudonyms)
                target.keep(table.file)
                written.append(table if out != BUCKET else replace(table, file=f"{mart.name}/{table.file}"))
        package = datapackage.describe(written, form, newest_observation(marts), note)
        package, stale = datapackage.together(package, before)
        _keep_text(target, datapackage.FILE, package)
        for path in stale:
            target.remove(path)
    rows, size = sum(table.row_count for table in written), sum(table.byte_count for table in written)
    console.say(f"tables  {target.place} ({len(written)} tables, {rows:,} rows, {size / 1e6:,.2f} MB)")


def export_database(
    console: Terminal, place: str, *, is_sample: bool, is_all: bool = False, is_renamed: bool = False
) -> None:
    """Write all marts of which it is known what may be published into a DuckDB database.

    Args:
        console: Where to say what is done.
        place: A file, or `md:` and the name of a database on MotherDuck.
        is_sample: Whether the sample's marts are meant.
        is_all: Whether also what may not be published is exported.
        is_renamed: Whether people get other names.

    Raises:
        ExportError: Nothing, or not all of it, can be exported.
    """
    name = "bluesky_sample" if is_sample else "bluesky"
    with open_marts(name, is_all=is_all) as marts:
        chosen = choose(marts, [], is_all=is_all, is_renamed=is_renamed)
        pseudonyms = _pseudonyms(marts, name) if is_renamed else None
        rows = 0
        with database.open_database(place) as filled, console.status("") as status:
            counts = database.fill(filled, marts, chosen, _note(is_all, is_renamed), pseudonyms)
            for number, count in enumerate(counts, start=1):
                status.update(f"{number} of {len(chosen)}  {chosen[number - 1].name}")
                rows += count
    console.say(f"database  {place} ({len(chosen)} tables, {rows:,} rows)")


def _note(is_all: bool, is_renamed: bool) -> str:
    return (ALL if is_all else PUBLISHED) + (RENAMED if is_renamed else "")


def export_ids(console: Terminal, out: str, *, is_sample: bool, is_all: bool = False) -> None:
    """Write the posts as URIs, and what they are.

    Args:
        console: Where to say what is done.
        out: Where to: see `open_target`.
        is_sample: Whether the sample's marts are meant.
        is_all: Whether also what may not be published is exported.

    Raises:
        ExportError: It cannot be.
    """
    name = "bluesky_sample" if is_sample else "bluesky"
    with open_marts(name, is_all=is_all) as marts, open_target(out, dlt.pipeline(name)) as target:
        mart, span = post_uris(marts, is_all=is_all)
        table = write_table(marts, mart, "csv", target.folder)
        target.keep(table.file)
        if out == BUCKET:
            table = replace(table, file=f"{mart.name}/{table.file}")
        note = (ALL if is_all else PUBLISHED) + span
        _keep_text(
            target, f"ids.{datapackage.FILE}", datapackage.describe([table], "csv", newest_observation(marts), note)
        )
    console.say(f"ids  {target.place} ({table.row_count:,} posts)")


def export_graph(console: Terminal, options: argparse.Namespace) -> None:
    """Write a graph, or one of each pack.

    Args:
        console: Where to say what is done.
        options: The command line.

    Raises:
        ExportError: It cannot be.
    """
    name = "bluesky_sample" if options.sample else "bluesky"
    with open_marts(name, is_all=options.all) as marts, open_target(options.out, dlt.pipeline(name)) as target:
        expect_kinds(marts, options.kinds)
        packs = packs_in(marts, is_all=options.all) if options.by == "pack" else [EVERYBODY]
        pseudonyms = _pseudonyms(marts, name) if options.pseudonyms else None
        for pack in packs:
            scope = Scope(options.kinds, pack, options.period, options.all)
            graph = read_graph(marts, scope, pseudonyms)
            file = scope.file_name(options.format, pseudonyms)
            write_graph(graph, options.format, target.folder / file)
            place = target.keep(file)
            said = f"{graph.number_of_nodes():,} people, {graph.number_of_edges():,} ties"
            console.say(f"graph  {place} ({said})")


def export_nightly(console: Terminal, *, is_sample: bool) -> None:
    """Write what the settings ask for, into the bucket and into a database. They ask for nothing of the sample's.

    Raises:
        ExportError: It cannot be, or a setting is no kind of files.
        LakeError: The hosted database cannot be opened.
    """
    use_project_settings()
    form, place = dlt.config.get("export.nightly", str), dlt.config.get("export.database", str)
    if is_sample:
        return
    if form and form not in FORMATS:
        raise ExportError(f"nightly in [export] is {form!r}: write one of {', '.join(FORMATS)}, or an empty text.")
    if form:
        export_tables(console, [], cast("Format", form), BUCKET, is_sample=False)
    if place:
        export_database(console, place, is_sample=False)


def _pseudonyms(marts: duckdb.DuckDBPyConnection, name: str) -> Pseudonyms:
    """Read the salt: the setting's if there is one, else that of this warehouse."""
    configured = dlt.secrets.get("export.salt", str)
    if configured:
        return Pseudonyms.of(marts, expect_secret(configured.encode(), "[export]"))
    return Pseudonyms.of(marts, read_salt(duckdb_settings(name).warehouse_path.with_name("pseudonyms.salt")))


def _keep_text(target: Target, file: str, text: str) -> None:
    with whole(target.folder / file) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
    target.keep(file)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python pipelines/export.py", description="Export what may be published of the marts, for other tools."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--sample", action="store_true", help="the sample network's")
    shared.add_argument(
        "--out", required=True, metavar="PLACE", help="the folder where the files go; a database's file"
    )
    shared.add_argument(
        "--all", action="store_true", help="also what may not be published: people who are withheld, deleted posts"
    )
    renamed = argparse.ArgumentParser(add_help=False)
    renamed.add_argument("--pseudonyms", action="store_true", help="give people other names, the same in each export")
    tables = commands.add_parser(
        "tables", parents=[shared, renamed], help="marts, as files", description="Write marts as files."
    )
    tables.add_argument("models", nargs="*", metavar="MODEL", help="which marts; all that are known to be publishable")
    tables.add_argument("--format", choices=FORMATS, default="parquet", help="the kind of files")
    commands.add_parser(
        "database",
        parents=[shared, renamed],
        help="marts, as one DuckDB database",
        description="Write all marts into a DuckDB database: a file, or md:NAME on MotherDuck.",
    )
    graph = commands.add_parser(
        "graph", parents=[shared, renamed], help="who is tied to whom", description="Write the community as a graph."
    )
    graph.add_argument(
        "--kinds", type=_kinds, default=("interactions",), metavar="KIND,KIND", help=f"which ties: {', '.join(KINDS)}"
    )
    graph.add_argument(
        "--by", choices=("all", "pack"), default="all", help="one graph of everybody, or one of each pack"
    )
    graph.add_argument(
        "--period", choices=PERIODS, default="all", help="what was done in the last day, week, ...; all of it"
    )
    graph.add_argument("--format", choices=GRAPH_FORMATS, default="gexf", help="GEXF has times, for Gephi's timeline")
    commands.add_parser(
        "ids", parents=[shared], help="the posts, as URIs alone", description="Write the posts as URIs alone."
    )
    commands.add_parser("nightly", help="what [export] in the settings asks for")
    return parser.parse_args(arguments)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise argparse.ArgumentTypeError(f"there are no {kind!r}: there are {', '.join(KINDS)}")
    return kinds


def main(arguments: list[str] | None = None) -> int:
    """Export, and return the exit code."""
    options = parse_arguments(arguments)
    use_lake_filesystems()
    return run_command(lambda console: run_export(options, console))


def run_export(options: argparse.Namespace, console: Terminal) -> int:
    """Do what the command line asks for, and return the exit code."""
    return end_well(lambda: _export(options, console))


def end_well(work: Callable[[], None]) -> int:
    """Do the work of an export, say in one line why it cannot be done, and return the exit code."""
    try:
        work()
    except (ExportError, LakeError) as error:
        complain(str(error))
        return 1
    except Exception as error:
        reason = explain(error) or (f"The files cannot be written: {error}" if isinstance(error, OSError) else None)
        if reason is None or signal_behind(error):
            raise
        complain(reason)
        return 1
    return 0


def _export(options: argparse.Namespace, console: Terminal) -> None:
    if options.command == "nightly":
        export_nightly(console, is_sample=False)
    elif options.command == "graph":
        export_graph(console, options)
    elif options.command == "database":
        if options.out == BUCKET:
            raise ExportError("A database is a file here, or md:name on MotherDuck; the bucket takes tables.")
        place = options.out if is_hosted(options.out) else str(file_of(options.out, Path.cwd()))
        export_database(console, place, is_sample=options.sample, is_all=options.all, is_renamed=options.pseudonyms)
    elif options.command == "ids":
        export_ids(console, options.out, is_sample=options.sample, is_all=options.all)
    else:
        export_tables(
            console,
            options.models,
            options.format,
            options.out,
            is_sample=options.sample,
            is_all=options.all,
            is_renamed=options.pseudonyms,
        )


if __name__ == "__main__":
    sys.exit(main())
