"""Making rows of posts that are known by their URIs alone: `python pipelines/bluesky.py --posts FILE`.

The service is asked for 25 at a time, and the authors' repositories for what it leaves out. What is there is a row of
`author_feed` as if a feed had shown it; what is gone stays gone. Each answer is a row of `record_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pipelines.checks import NAMED_PROBLEMS, QUESTIONS_PER_LOAD
from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.loads import load
from pipelines.lake.readback import LakeReader
from pipelines.left_alone import left_alone
from pipelines.sources.questions import POST, POST_URI, Question
from pipelines.sources.record_checks import RecordAsker, record_checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    import dlt

    from pipelines.network.connect import Network
    from pipelines.terminal import Terminal

_HEADER: Final = "post_uri"


@dataclass
class PostFile:
    """A file of URIs of posts, one a line, as `export.py ids` writes it.

    Attributes:
        questions: The posts to ask for, each once.
        bad_lines: The numbers of lines that name no post.
    """

    questions: list[Question] = field(default_factory=list)
    bad_lines: list[int] = field(default_factory=list)


def read_posts(path: Path) -> PostFile:
    """Read a file of URIs.

    Raises:
        LakeError: It cannot be read, or names no post.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LakeError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LakeError(f"{path} is not UTF-8: write a URI of a post on each line.") from error
    file, seen = PostFile(), set()
    for number, line in enumerate(text.splitlines(), start=1):
        uri = line.strip().strip('"')
        if not uri or (number == 1 and uri == _HEADER):
            continue
        found = POST_URI.fullmatch(uri)
        if found is None:
            file.bad_lines.append(number)
        elif uri not in seen:
            seen.add(uri)
            file.questions.append(Question(uri, found[1], POST, "named_in_file"))
    if not file.questions:
        raise LakeError(f"{path} names no post: write the at:// URI of one on each line, as export.py ids does.")
    return file


def without_left_alone(file: PostFile, name: str) -> PostFile:
    """Leave out posts of people whom the pull does not read either.

    Args:
        file: The posts.
        name: The pipeline's, whose warehouse knows who they are; where there is none yet, there is nobody.
    """
    settings = duckdb_settings(name)
    if not settings.warehouse_path.exists():
        return file
    with settings.read_warehouse() as warehouse:
        alone = left_alone(warehouse)
    return replace(file, questions=[each for each in file.questions if each.did not in alone])


def hydrate(
    file: PostFile, pipeline: dlt.Pipeline, network: Network, clock: Callable[[], datetime], console: Terminal
) -> int:
    """Ask for the posts of a file, load what is there, and say what is not.

    Args:
        file: The posts.
        pipeline: Where to load to.
        network: Whom to ask.
        clock: Tells the time of an observation.
        console: Where to say it.

    Returns:
        The exit code: 2 if a line was skipped or a post could not be asked for.

    Raises:
        LakeError: DuckDB does not find what was loaded.
    """
    asker, reader = RecordAsker(network, clock), LakeReader(pipeline.pipeline_name)
    named_count = len(file.questions)
    file = without_left_alone(file, pipeline.pipeline_name)
    total = len(file.questions)
    if total < named_count:
        console.say(
            f"    posts  {named_count - total:,} are of people who opted out of a pack, or are in a block:"
            " nobody asks for them"
        )
    for start in range(0, total, QUESTIONS_PER_LOAD):
        source = record_checks(file.questions[start : start + QUESTIONS_PER_LOAD], asker)
        reader.expect(pipeline, load(pipeline, source))
        if total > QUESTIONS_PER_LOAD:
            console.say(f"    posts  {asker.outcomes.total():,} of {total:,} asked for")
    shown = asker.outcomes.pop("shown", 0)
    others = ", ".join(f"{count:,} {outcome}" for outcome, count in asker.outcomes.most_common())
    console.say(f"    posts  {shown:,} of {total:,} are there" + (f"; {others}" if others else ""))
    console.say(*_named("not shown", asker.absent, ": see record_checks"))
    problems = [f"{count:,}: {said}" for said, count in asker.problems.most_common()]
    console.say(*_named("unknown", problems, ": see record_checks"))
    console.say(*_named("no at:// URI of a post", [f"line {number}" for number in file.bad_lines]))
    return 2 if asker.problems or file.bad_lines else 0


def _named(what: str, names: list[str], where_all_are: str = "") -> list[str]:
    lines = [f"           {what}: {name}" for name in names[:NAMED_PROBLEMS]]
    more = len(names) - NAMED_PROBLEMS
    return [*lines, f"           and {more:,} more{where_all_are}"] if more > 0 else lines
