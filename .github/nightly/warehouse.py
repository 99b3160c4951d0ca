"""Carry the warehouse from night to night: in the bucket, beside the lake, where DuckDB can also read it from.

python .github/nightly/warehouse.py fetch    the warehouse of the night before, if there is one
python .github/nightly/warehouse.py keep     this night's
"""

from __future__ import annotations

import sys

import dlt
import duckdb
from others_words import annotate

from pipelines.lake.bucket import LakeError, check_lake, filesystem_client, use_project_settings
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.place import PlaceError


def main(action: str) -> int:
    """Fetch or keep; return the exit code."""
    try:
        use_project_settings()
        pipeline = dlt.pipeline("bluesky")
        client = filesystem_client(pipeline)
        check_lake(pipeline)
        warehouse = duckdb_settings("bluesky").warehouse_path
    except (LakeError, PlaceError) as error:
        annotate("error", str(error))
        return 1
    if client.config.is_local_filesystem:
        print("The lake is a folder: the warehouse stays beside it.")
        return 0
    kept = f"{client.bucket_path}/warehouse/{warehouse.name}"
    if action == "keep":
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("checkpoint")
        client.fs_client.put_file(str(warehouse), kept)
        print(f"Kept: {client.make_remote_url(kept)}")
    elif client.fs_client.exists(kept):
        warehouse.parent.mkdir(parents=True, exist_ok=True)
        client.fs_client.get_file(kept, str(warehouse))
        print("Fetched the warehouse of the night before.")
    else:
        print("There is no warehouse yet: it is built from the whole lake.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
