"""After a load: DuckDB looks, by the settings that dbt uses, whether it finds what dlt wrote."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

from pipelines.lake.bucket import (
    LakeError,
    explain_lake_error,
    filesystem_client,
    is_out_of_reach,
    lake_location,
)
from pipelines.lake.duckdb_settings import as_pattern, duckdb_settings

if TYPE_CHECKING:
    import dlt
    from dlt.common.pipeline import LoadInfo


def expect_same_lake(pipeline: dlt.Pipeline, read_by: str) -> None:
    """See that a pipeline has the lake that dbt reads, before anything is written.

    Args:
        pipeline: One that dlt may know settings of its own for.
        read_by: The one whose settings dbt uses: `bluesky`, or `bluesky_sample`.

    Raises:
        LakeError: It has another lake, or the settings cannot be used.
    """
    own, read = lake_location(pipeline), f"{duckdb_settings(read_by).lake_path}/"
    if own != read:
        raise LakeError(
            f"The lake of {pipeline.pipeline_name} is {own}, and dbt reads that of {read_by}, {read}: what is set for "
            f"one of them alone, as {read_by.upper()}__DESTINATION__..., must be set for all or for none."
        )


class LakeReader:
    """Reads a lake as dbt does.

    A writer and a reader that derive the lake's place, endpoint or keys each in a way of their own would both succeed,
    one with all rows and the other with none.
    """

    def __init__(self, pipeline_name: str) -> None:
        """Take the settings.

        Args:
            pipeline_name: The one whose settings dbt uses: `bluesky`, or `bluesky_sample`.

        Raises:
            LakeError: They cannot be used.
        """
        self._settings = duckdb_settings(pipeline_name)

    def expect(self, pipeline: dlt.Pipeline, info: LoadInfo) -> None:
        """Find the files of a load, and their rows.

        Args:
            pipeline: What loaded it.
            info: What dlt says that it wrote.

        Raises:
            LakeError: DuckDB finds other files or rows, or cannot read them.
        """
        written = _written(pipeline, info)
        if not written:
            return
        try:
            found = self._find(list(written))
            what = f"finds {len(found):,} of these files"
            if found.keys() == written.keys():
                what = f"reads {sum(found.values()):,} rows in these files"
        except duckdb.Error as error:
            if is_out_of_reach(error):  # It says nothing of where DuckDB looks.
                raise LakeError(explain_lake_error(error)) from error
            found, what = {}, f"cannot read them ({str(error).splitlines()[0]})"
        if any(found.get(file) != rows for file, rows in written.items()):
            raise LakeError(
                f"The lake that dbt reads is not the one that was written: dlt wrote {sum(written.values()):,} rows in "
                f"{len(written):,} files into {lake_location(pipeline)}, and DuckDB {what}, in "
                f"{self._settings.lake_path}/. Compare the settings of both pipelines, and what the keys may do."
            )

    def _find(self, files: list[str]) -> dict[str, int]:
        """List the files in the folders of these, and count the rows of those that are these."""
        root = self._settings.lake_path
        with closing(duckdb.connect()) as connection:
            self._settings.configure(connection)
            # A listing for each folder: in a bucket it is as short as the load, however many nights there are.
            patterns = {f"{file.rpartition('/')[0]}/{_load_id(file)}." for file in files}
            listed = [
                path
                for pattern in sorted(patterns)
                for (path,) in connection.execute(
                    "select file from glob($1)", [f"{as_pattern(f'{root}/{pattern}')}*.parquet"]
                ).fetchall()
            ]
            known = {f"{root}/{file}": file for file in files}
            read = [path for path in listed if path in known]
            if not read:
                return {}
            counts = connection.execute(
                "select file_name, num_rows from parquet_file_metadata($1)", [[as_pattern(path) for path in read]]
            ).fetchall()
        return {known[path]: rows for path, rows in counts}


def _load_id(file: str) -> str:
    return ".".join(file.rpartition("/")[2].split(".")[:2])


def _written(pipeline: dlt.Pipeline, info: LoadInfo) -> dict[str, int]:
    """Name the data files of a load by their paths in the dataset, with the rows that dlt put into each."""
    client = filesystem_client(pipeline)
    root = client.make_remote_url(client.dataset_path).rstrip("/") + "/"
    trace = pipeline.last_trace
    normalized = trace.last_normalize_info if trace else None
    rows = {
        job.rpartition("/")[2]: counted.items_count
        for metrics in (normalized.metrics.values() if normalized else ())
        for step in metrics
        for job, counted in step["job_metrics"].items()
    }
    written: dict[str, int] = {}
    for steps in info.metrics.values():
        for step in steps:
            for job, metrics in step["job_metrics"].items():
                file = (metrics.remote_url or "").removeprefix(root)
                if file.endswith(".parquet") and not metrics.table_name.startswith("_dlt") and job in rows:
                    written[file] = rows[job]
    return written
