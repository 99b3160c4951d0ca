"""Few large files instead of many small ones: as a command, and at the end of a night where it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.explain import explain
from pipelines.lake.compaction import compact, is_due
from pipelines.lake.lease import LeaseTaken
from pipelines.lake.loads import signal_behind
from pipelines.terminal import complain

if TYPE_CHECKING:
    import dlt

    from pipelines.terminal import Terminal


def run_compaction(pipeline: dlt.Pipeline, console: Terminal) -> int:
    """Compact the lake, say what was done, and return the exit code."""
    done = compact(pipeline)
    facts = {
        f"{done.replaced:,} small files are now in {done.written:,} large ones too": done.written,
        f"{done.deleted:,} that an earlier run replaced were deleted": done.deleted,
        f"{done.waiting:,} will be deleted, an hour after they were replaced": done.waiting,
    }
    console.say("; ".join(fact for fact, count in facts.items() if count) or "There was nothing to compact.")
    for path, reason in done.damaged.items():
        complain(f"{path} is damaged, and stays as it is: {reason}")
    return 2 if done.damaged else 0


def compact_where_due(pipeline: dlt.Pipeline, console: Terminal) -> int:
    """Compact the lake if a month has ended or small files are many. Whatever keeps it from that costs no night.

    Returns:
        The exit code of a night that went well.
    """
    try:
        return run_compaction(pipeline, console) if is_due(pipeline) else 0
    except LeaseTaken:
        console.say("compaction  another job is writing files of the lake anew: the next night compacts")
        return 0
    except Exception as error:
        reason = explain(error)
        if reason is None or signal_behind(error):
            raise
        complain(reason)
        return 2
