"""What a job does about the work that an earlier run of its pipeline left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dlt


def finish_pending(pipeline: dlt.Pipeline) -> None:
    """Load what is complete in the pipeline's working folder.

    A run that was killed while dlt moved a package from one folder to the next left it in both, and every later run
    would fail; it is complete in the second. A pending package would make dlt ignore the new data, so it goes first.
    """
    moved = set(pipeline.list_extracted_load_packages()) & set(pipeline.list_normalized_load_packages())
    for load_id in moved:
        pipeline._get_normalize_storage().extracted_packages.delete_package(load_id)
    if pipeline.has_pending_data:
        pipeline.run()


def recover(pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Finish what an earlier run left behind, then take the state from the lake: it must match what is in it.

    Returns:
        The pipeline to go on with.
    """
    finish_pending(pipeline)
    pipeline = pipeline.drop()
    pipeline.sync_destination()
    return pipeline
