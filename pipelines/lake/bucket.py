"""Where the lake is, by dlt's own settings; and what a user can do where it cannot be used."""

from __future__ import annotations

import binascii
import errno
import logging
import os
import textwrap
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_origin

import duckdb
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
    LookupTraces,
)
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.runtime.run_context import switch_context
from dlt.destinations.exceptions import InvalidFilesystemLayout
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from pipelines.lake.local_disk import explain_disk_error, has_no_room
from pipelines.lake.place import LAKES, PlaceError, dataset_place, read_settings_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dlt
    from azure.storage.blob.aio import ContainerClient
    from dlt.common.configuration.exceptions import FieldLookupTraces

PROJECT_ROOT: Final = Path(__file__).parents[2]

_NO_ANSWER_FOR_DUCKDB: Final = " error for HTTP "
_NO_FILE_FOR_DUCKDB: Final = "No files found that match the pattern"

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def use_project_settings() -> None:
    """Make dlt find the project's `.dlt`, and take relative paths from there, wherever the command was started.

    `DLT_PROJECT_DIR` and `DLT_LOCAL_DIR` still win (https://dlthub.com/docs/general-usage/credentials/setup).

    Raises:
        LakeError: A file of settings begins with a byte order mark, which TOML does not know.
    """
    project = os.environ.get("DLT_PROJECT_DIR", str(PROJECT_ROOT))
    for name in ("config.toml", "secrets.toml"):
        path = Path(project, ".dlt", name)
        if path.is_file():
            with path.open("rb") as file:
                if file.read(3) == _BYTE_ORDER_MARK:
                    raise LakeError(f"{path} begins with a byte order mark: save it as UTF-8 without one.")
    switch_context(project)
    read_settings_once()


class LakeError(Exception):
    """The lake or its warehouse cannot be used as configured. The message says why and what to do, in one line."""


def filesystem_client(pipeline: dlt.Pipeline) -> FilesystemClient:
    """Open the lake of a pipeline through dlt's own client.

    Raises:
        LakeError: The pipeline's destination is not made of files, or they are where nothing here can read them, or
            the key is not one.
    """
    if pipeline.destination is None:
        raise LakeError(f"There is no [pipelines.{pipeline.pipeline_name}] with a destination in .dlt/config.toml.")
    try:
        with pipeline.destination_client() as client:
            if not isinstance(client, FilesystemClient):
                raise LakeError(
                    f"The destination of {pipeline.pipeline_name} must be a `filesystem`: see .dlt/config.toml."
                )
            return client
    except ImportError as error:  # dlt says what to install for a kind of bucket that DuckDB could not read.
        raise LakeError(f"bucket_url in [destination.filesystem] cannot be used: {LAKES}.") from error
    except ValueError as error:
        reason = explain_lake_error(error)
        if reason is None:
            raise
        raise LakeError(reason) from error


def lake_location(pipeline: dlt.Pipeline) -> str:
    """Say where a pipeline's tables are: a folder, or the URL of one in a bucket, with a slash at its end.

    Raises:
        LakeError: See `filesystem_client`; or the settings name a place that is none.
    """
    return location_of(filesystem_client(pipeline))


def location_of(client: FilesystemClient) -> str:
    """Say the same as `lake_location` of a lake that is open: to open it, dlt reads all its settings.

    Raises:
        LakeError: The settings name a place that is none.
    """
    try:
        return f"{dataset_place(client.config, client.dataset_name)}/"
    except PlaceError as error:
        raise LakeError(str(error)) from error


def check_lake(pipeline: dlt.Pipeline) -> None:
    """See that the lake can be opened, before anything is asked of anybody.

    dlt itself makes a bucket that is missing: a typo in its name would begin a second, empty lake.

    Raises:
        LakeError: It cannot.
    """
    client = filesystem_client(pipeline)
    location_of(client)
    if client.config.is_local_filesystem:
        _check_folder(Path(client.config.make_local_path(client.config.bucket_url)))
        return
    bucket, _, prefix = client.bucket_path.partition("/")
    try:
        _list_one(client, bucket, prefix)
    except FileNotFoundError as error:
        raise LakeError(
            f"There is no bucket {bucket!r}. Create it, or correct bucket_url in [destination.filesystem]."
        ) from error
    except Exception as error:
        reason = explain_lake_error(error) or f"The bucket {bucket!r} cannot be opened: {_shortened(error)}"
        if isinstance(error, PermissionError):
            reason = f"{reason} {needed_rights(client)}"
        raise LakeError(reason) from error


def needed_rights(client: FilesystemClient) -> str:
    """Say in one sentence what the key must be allowed to do."""
    return f"It must be allowed to list, read, write and delete all under {client.config.bucket_url.rstrip('/')}/."


def _list_one(client: FilesystemClient, bucket: str, prefix: str) -> None:
    """Ask for the first object, which is allowed to keys that may not look at the bucket itself."""
    files = client.fs_client
    if client.config.protocol == "s3":
        files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return
    # It warns, in twenty lines, of what its error says again.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    sync(files.loop, _list_one_blob, files.service_client.get_container_client(bucket), prefix)


async def _list_one_blob(container: ContainerClient, prefix: str) -> None:
    from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415

    try:
        # Azure's usual three retries take a minute and a half.
        async for _ in container.list_blobs(name_starts_with=prefix, results_per_page=1, retry_total=1):
            return
    except ResourceNotFoundError as error:
        raise FileNotFoundError(container.container_name) from error


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(f"The lake's folder {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.W_OK):
        raise LakeError(f"The lake's folder {folder} is not writable for you.")


def explain_lake_error(error: BaseException) -> str | None:
    """Say in one line what a user can do about an error of the settings or the storage; None if it is no such error."""
    # Imported here, since most runs have neither a bucket nor an error.
    import azure.core.exceptions as azure  # noqa: PLC0415
    import botocore.exceptions as boto  # noqa: PLC0415

    if _is_service_in_trouble(error):
        return f"The bucket's service cannot answer now ({_shortened(error)}). Nothing is lost: run again later."
    match error:
        case PlaceError() | ConfigurationException() | InvalidFilesystemLayout() | UnknownDestinationModule():
            return _explain_settings_error(error)
        case duckdb.Error():
            return _explain_duckdb_error(error)
        case boto.ReadTimeoutError() | FSTimeoutError():
            return "The bucket does not answer. Nothing is lost: run again, or check endpoint_url and the network."
        case boto.ConnectionError() | boto.HTTPClientError():
            return _unreachable(error)
        case azure.ServiceRequestError() | azure.ServiceResponseError():
            return f"The storage account cannot be reached. Check its name and the network. ({error})"
        case azure.HttpResponseError(status_code=401 | 403):
            return f"The storage account refuses the key ({error.reason}). Check its name and key in .dlt/secrets.toml."
        case boto.NoCredentialsError() | azure.ClientAuthenticationError():
            return "There are no keys for the bucket. Put them into .dlt/secrets.toml: see .dlt/example.secrets.toml."
        case binascii.Error():
            return "The storage account's key is not complete. Check azure_storage_account_key in .dlt/secrets.toml."
        case PermissionError(filename=None):
            return _refused(error)
        case OSError(__cause__=boto.ClientError(response={"Error": {"Code": "Unauthorized"}})):
            # R2's word for a key that it does not know, which s3fs does not know.
            return _refused(error.__cause__)
        case OSError():
            return explain_disk_error(error)
    return None


def is_out_of_reach(error: duckdb.Error) -> bool:
    """Tell whether DuckDB got no answer of a bucket, or one that says to come again, whatever the settings are."""
    return _is_service_in_trouble(error) or _NO_ANSWER_FOR_DUCKDB in str(error)


def is_file_missing(error: duckdb.Error) -> bool:
    """Tell whether DuckDB found no file of that name, in a folder or a bucket."""
    return _NO_FILE_FOR_DUCKDB in str(error) or getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND


def _explain_settings_error(error: Exception) -> str:
    match error:
        case PlaceError():
            return str(error)
        case ConfigValueCannotBeCoercedException(hint=hint) if (get_origin(hint) or hint) is list:
            what = f"{error.field_name} is no list: write"
            return f'{what} ["first", "second"], in .dlt/config.toml and in an environment variable alike.'
        case ConfigFieldMissingException():
            missing = ", ".join(_missing(error.traces))
            return f"Missing settings: {missing}. See .dlt/config.toml and .dlt/example.secrets.toml."
    return f"The settings in .dlt/ or the environment cannot be used: {_shortened(error)}"


def _explain_duckdb_error(error: duckdb.Error) -> str | None:
    if is_out_of_reach(error):
        return _unreachable(_shortened(error))
    if isinstance(error, duckdb.HTTPException) and error.status_code in {401, 403}:
        return _refused(_shortened(error))
    if has_no_room(str(error)):
        return explain_disk_error(OSError(errno.ENOSPC, _shortened(error)))
    return None


def _shortened(error: BaseException) -> str:
    """Bring what a library says into one line."""
    said = str(error)
    if isinstance(error, duckdb.Error):  # What follows shows the query.
        said = said.split("\n", maxsplit=1)[0]
    return textwrap.shorten(said, 300, placeholder="…")


def _missing(traces: FieldLookupTraces) -> Iterator[str]:
    """Name the settings that dlt looked for and did not find."""
    for name, (tried, *_) in traces.items():
        if isinstance(tried, LookupTraces) and not tried.union_count:
            yield from (f"{name}.{inner}" for inner in _missing(tried.traces))
        else:  # A union is a choice between several ways to log in, each with settings of its own.
            yield name


def _is_service_in_trouble(error: BaseException) -> bool:
    """Tell whether a bucket's service said 5xx or 429; s3fs makes another error of that, DuckDB one with a status."""
    said = error.__cause__ if isinstance(error, OSError) else error
    answer = getattr(said, "response", None)
    if isinstance(answer, dict):  # As botocore keeps it; azure has an attribute for it.
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(said, "status_code", None)
    return isinstance(status, int) and (status >= 500 or status == 429)


def _unreachable(error: object) -> str:
    return f"The bucket's endpoint cannot be reached. Check endpoint_url and the network. ({error})"


def _refused(error: object) -> str:
    return f"The bucket refuses the key ({error}). Check both, and what the key may do, in .dlt/secrets.toml."
