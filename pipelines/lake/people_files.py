"""Files about people, in the bucket's folder `people/`, beside the data set: who is left out, who is forgotten."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Final

import duckdb

from pipelines.lake.bucket import LakeError, explain_lake_error, filesystem_client, needed_rights
from pipelines.lake.duckdb_settings import as_pattern

if TYPE_CHECKING:
    import dlt
    from dlt.destinations.impl.filesystem.filesystem import FilesystemClient

    from pipelines.lake.duckdb_settings import DuckDBSettings

PEOPLE: Final = "people"


def read_in_dbt(settings: DuckDBSettings, *names: str) -> list[bytes]:
    """Read files by DuckDB, as whoever has no pipeline does; nothing for one that is not there.

    Args:
        settings: Where the lake is.
        names: Their names in the folder.

    Raises:
        LakeError: The bucket cannot be read.
    """
    bucket = settings.lake_path.removesuffix(re.split(r"[/\\]", settings.lake_path)[-1])
    folder = f"{bucket}{PEOPLE}"
    try:
        with closing(duckdb.connect()) as connection:
            settings.configure(connection)
            return [_content(connection, folder, name) for name in names]
    except duckdb.Error as error:
        reason = explain_lake_error(error) or str(error).splitlines()[0]
        raise LakeError(f"{folder}/ cannot be read, which says who is left out and forgotten: {reason}") from error


def _content(connection: duckdb.DuckDBPyConnection, folder: str, name: str) -> bytes:
    # A pattern has its files listed. Of a plain name in a bucket, DuckDB takes for granted that it is there.
    listed = connection.execute("select file from glob($1)", [f"{as_pattern(folder)}/{name}*"]).fetchall()
    paths = [path for (path,) in listed if re.split(r"[/\\]", path)[-1] == name]
    if not paths:
        return b""
    row = connection.execute("select content from read_blob($1)", [as_pattern(paths[0])]).fetchone()
    return bytes(row[0]) if row else b""


def read_people_file(pipeline: dlt.Pipeline, name: str) -> bytes:
    """Read a file; nothing where there is none.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its name in the folder.

    Raises:
        LakeError: The key may not look for it.
    """
    client = filesystem_client(pipeline)
    files, path = client.fs_client, _path(client, name)
    files.invalidate_cache(path.rpartition("/")[0])
    try:
        content: bytes = files.cat_file(path)
    except FileNotFoundError:
        return b""
    except PermissionError as error:
        if client.config.is_local_filesystem:
            raise
        what = f"The bucket refuses the key to read {path}, which says who is left out or forgotten"
        raise LakeError(f"{what} ({error}). {needed_rights(client)}") from error
    return content


def write_people_file(pipeline: dlt.Pipeline, name: str, text: str) -> None:
    """Write a file, whole or not at all.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its name in the folder.
        text: What is in it.
    """
    client = filesystem_client(pipeline)
    files, path = client.fs_client, _path(client, name)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.write_text(path, text, encoding="utf-8")


def remove_people_file(pipeline: dlt.Pipeline, name: str) -> None:
    """Remove a file.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its name in the folder.
    """
    client = filesystem_client(pipeline)
    client.fs_client.rm_file(_path(client, name))


def _path(client: FilesystemClient, name: str) -> str:
    return f"{client.bucket_path}/{PEOPLE}/{name}"
