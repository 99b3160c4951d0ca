"""A pipeline's working folder: it serves one run at a time and one lake, and keeps what a run left behind."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.pipeline.exceptions import PipelineStepFailed
from filelock import FileLock, Timeout

from pipelines.lake.bucket import LakeError, check_lake, explain_lake_error, lake_location
from pipelines.lake.damaged import loads_to_come, remove_damaged_files
from pipelines.lake.forgotten import forgotten, read_forgotten
from pipelines.lake.loads import causes, load, signal_behind

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_LAKE: Final = "lake"
_GENERATION: Final = "forgotten"


class AnotherRun(LakeError):  # noqa: N818 (it is no fault)
    """Another run is using a pipeline's working folder."""


def only_one(pipeline_name: str) -> AbstractContextManager[object]:
    """Keep a second run from using the same working folder: each would take the other's work for left behind.

    Returns:
        What holds the working folder, from now until its block or the process ends, in whatever way.

    Raises:
        AnotherRun: Another run holds it.
        LakeError: dlt cannot work where it is.
    """
    path = _working_folders() / f"{pipeline_name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(path).acquire(blocking=False)
    except Timeout as error:
        raise AnotherRun(f"Another run of {pipeline_name} is under way on this machine. Wait for its end.") from error


def open_pipeline(name: str) -> dlt.Pipeline:
    """Open a pipeline and the lake that the settings name.

    dlt keeps, in the pipeline's working folder, the place that relative paths started from when it first ran: after the
    project was moved, or in a second copy of it, it would go on with the old lake. And a package that is pending brings
    the cursors of the lake it was made for: in another one they would claim what is not there. So a working folder
    serves one lake. And one from before somebody was forgotten, e.g. out of a cache, may bring them back: what is
    pending in it is given up, as nothing in the lake counts on it.

    Raises:
        LakeError: The lake cannot be used, or dlt cannot work where the working folder is.
    """
    _working_folders()
    pipeline = dlt.pipeline(name)
    if not _is_for_configured_lake(pipeline):
        pipeline = _begin_anew(pipeline)
    check_lake(pipeline)
    if _generation_of(pipeline) != read_forgotten(pipeline).generation:
        pipeline = _begin_anew(pipeline)
    return pipeline


def _working_folders() -> Path:
    """Find the folder of all working folders. dlt writes files by a pattern that begins with it, where % means more."""
    folder = Path(get_dlt_pipelines_dir())
    if "%" in str(folder):
        raise LakeError(f"dlt cannot work in {folder}: name a folder without % in the variable DLT_DATA_DIR.")
    return folder


def _generation_of(pipeline: dlt.Pipeline) -> object:
    try:
        return pipeline.get_local_state_val(_GENERATION)
    except KeyError:
        return None


def _is_for_configured_lake(pipeline: dlt.Pipeline) -> bool:
    try:
        is_same_start = Path(pipeline.get_local_state_val("initial_cwd")) == Path(dlt.current.run_context().local_dir)
        return is_same_start and bool(pipeline.get_local_state_val(_LAKE) == lake_location(pipeline))
    except KeyError:
        return False


def _begin_anew(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    # dlt empties a folder without a state; should this be killed half way, the next run finds it so.
    Path(pipeline.working_dir, pipeline.STATE_FILE).unlink(missing_ok=True)
    pipeline = dlt.pipeline(pipeline.pipeline_name)
    pipeline.set_local_state_val(_LAKE, lake_location(pipeline))
    pipeline.set_local_state_val(_GENERATION, forgotten().generation)
    return pipeline


def remove_working_folder(pipeline_name: str) -> None:
    """Remove a pipeline's working folder, which somebody else must not be using. The lake has its state."""
    shutil.rmtree(Path(get_dlt_pipelines_dir(), pipeline_name), ignore_errors=True)


def finish_pending(pipeline: dlt.Pipeline) -> None:
    """Load what is complete in the pipeline's working folder.

    A run that was killed while dlt moved a package from one folder to the next left it in both, and every later run
    would fail; it is complete in the second. A pending package would make dlt ignore the new data, so it goes first.
    """
    moved = set(pipeline.list_extracted_load_packages()) & set(pipeline.list_normalized_load_packages())
    for load_id in moved:
        pipeline._get_normalize_storage().extracted_packages.delete_package(load_id)
    if pipeline.has_pending_data:
        load(pipeline)


def recover(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Finish what an earlier run left behind, then take the state from the lake: it must match what is in it.

    What a crash left in a shape that cannot be finished is given up. It has moved no cursor in the lake, so what it
    held is asked for again. A state in the lake that is damaged is removed: the one before it counts. One of a time
    to come, which counts for ever, is named.

    Returns:
        The pipeline to go on with.

    Raises:
        Exception: The lake cannot be written to; what is pending stays so.
    """
    try:
        finish_pending(pipeline)
    except Exception as error:
        if _is_lake_error(error) or signal_behind(error):
            raise
    pipeline = _begin_anew(pipeline)
    try:
        pipeline.sync_destination()
    except PipelineStepFailed:
        damaged = remove_damaged_files(pipeline)
        if not damaged:
            raise
        print(*damaged, sep="\n", file=sys.stderr)
        pipeline.sync_destination()
    for line in loads_to_come(pipeline, time.time()):
        print(line, file=sys.stderr)
    return pipeline


def _is_lake_error(error: BaseException) -> bool:
    return any(explain_lake_error(cause) for cause in causes(error))
