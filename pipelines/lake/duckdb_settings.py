"""The lake's settings, as DuckDB wants them: paths, extension and secret, all taken from dlt's configuration."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlparse

import dlt
import duckdb
from dlt.common.configuration import inject_section, resolve_configuration
from dlt.common.configuration.specs import AwsCredentials, AzureCredentials, BaseConfiguration
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.destination import Destination
from dlt.common.runtime.run_context import active
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration
from dlt.pipeline.configuration import PipelineConfiguration

from pipelines.lake.bucket import LakeError, explain_lake_error, use_project_settings
from pipelines.lake.local_disk import has_no_room
from pipelines.lake.place import LAKES, dataset_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlt.common.configuration.specs import CredentialsConfiguration

_EXTENSION_OF: Final = {"s3": "httpfs", "az": "azure", "abfss": "azure"}

_DUCKDB_SHARE: Final = Decimal("0.9")
"""Share of `[warehouse] memory_limit` that DuckDB gets. It counts its blocks, but neither the texts that aggregates
keep nor what its operators hold while they work, so that a process takes more than DuckDB's own limit says."""


@dataclass(frozen=True)
class DuckDBSettings:
    """What a DuckDB connection needs to read one pipeline's lake and to write its warehouse.

    Attributes:
        lake_path: Folder or URL of the dataset in the bucket, without a slash at its end.
        warehouse_path: The DuckDB file that dbt builds.
        memory_limit: Most memory that DuckDB may count as its own, e.g. `1.8GB`: its share of what the settings allow.
            What does not fit is spilled to disk.
        statements: SQL that loads the extension and creates the secret. Holds keys: never print it.
        environment: The same for Sail, which takes it from there; None for what may not be there, of other keys. Holds
            keys: never print it.
    """

    lake_path: str
    warehouse_path: Path
    memory_limit: str
    statements: tuple[str, ...]
    environment: Mapping[str, str | None]

    @property
    def lake_pattern(self) -> str:
        """The lake's path as the beginning of a pattern."""
        return as_pattern(self.lake_path)

    def configure(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give a connection its extension and its secret.

        Raises:
            LakeError: If DuckDB refuses. The message leaves the statement out, because it may hold a key.
        """
        for statement in self.statements:
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                what = statement.split("(", maxsplit=1)[0].strip()
                message = f"DuckDB cannot be set up to read {self.lake_path}: {type(error).__name__} at `{what}`."
                raise LakeError(message) from None

    def open_warehouse(self) -> duckdb.DuckDBPyConnection:
        """Open the warehouse to write to it; it is made, with its folder, if it is not there.

        Raises:
            LakeError: See `open_warehouse`.
        """
        folder = self.warehouse_path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeError(f"The warehouse's folder {folder} cannot be made: {error.strerror}.") from error
        return open_warehouse(self.warehouse_path, self.memory_limit)

    def read_warehouse(self) -> duckdb.DuckDBPyConnection:
        """Open the warehouse to read it.

        Raises:
            LakeError: See `open_warehouse`.
        """
        return open_warehouse(self.warehouse_path, self.memory_limit, read_only=True)


def as_pattern(path: str) -> str:
    """Write a path so that DuckDB's patterns take it as it is: also the paths given to `read_parquet` are patterns."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def open_warehouse(path: Path, memory_limit: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a warehouse within a memory limit.

    Args:
        path: The DuckDB file.
        memory_limit: As in `DuckDBSettings`.
        read_only: Whether to leave it as it is; others may then read it too.

    Raises:
        LakeError: Another process has it open, or it cannot be read, or the memory limit is none.
    """
    try:
        return duckdb.connect(str(path), read_only=read_only, config={"memory_limit": memory_limit})
    except duckdb.Error as error:
        raise LakeError(explain_warehouse_error(path, error)) from error


def has_relation(warehouse: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Tell whether a warehouse has a table or a view of this name: one that an older version has built may not."""
    found = warehouse.execute("select count(*) from information_schema.tables where table_name = $1", [name])
    return found.fetchone() != (0,)


def explain_warehouse_error(path: Path, error: duckdb.Error) -> str:
    """Say in one line what a user can do about a warehouse that cannot be opened or read."""
    reason = str(error).splitlines()[0]
    if has_no_room(str(error)):
        what = "has no room on its disk. Nothing is lost: make room and run again"
    elif isinstance(error, (duckdb.ParserException, duckdb.OutOfMemoryException)):
        what = "cannot be read within memory_limit in [warehouse]: correct or raise it"
    elif "Could not set lock" in reason:
        what = "is open in another program: close it there, and try again"
    elif "Permission denied" in reason or "Read-only file system" in reason:
        what = "is not yours to write"
    else:
        what = "cannot be read. The lake has all that is in it: delete the file (and its .wal), and build it anew"
    return f"The warehouse {path} {what}. ({reason})"


def duckdb_settings(pipeline_name: str) -> DuckDBSettings:
    """Ask dlt's configuration where a pipeline's lake and warehouse are, and how DuckDB gets there.

    Args:
        pipeline_name: `bluesky`, or `bluesky_sample`.

    Raises:
        LakeError: If a setting is missing or wrong, or names a lake that DuckDB cannot read.
    """
    try:
        return _read_settings(pipeline_name)
    except Exception as error:
        reason = explain_lake_error(error)
        if reason is None:
            raise
        raise LakeError(reason) from error


def _read_settings(pipeline_name: str) -> DuckDBSettings:
    use_project_settings()
    # Any setting of dlt's may begin with the pipeline's name, and then is for it alone.
    with inject_section(ConfigSectionContext(pipeline_name=pipeline_name)):
        pipeline = resolve_configuration(
            PipelineConfiguration(pipeline_name=pipeline_name), sections=("pipelines", pipeline_name)
        )
        destination = Destination.from_reference(pipeline.destination_type, destination_name=pipeline.destination_name)
        if destination is None or pipeline.dataset_name is None:
            raise LakeError(f"[pipelines.{pipeline_name}] in .dlt/config.toml must name a destination and a dataset.")
        dataset_name = (pipeline.dataset_name_layout or "%s") % pipeline.dataset_name
        unresolved = FilesystemDestinationClientConfiguration(local_dir=active().local_dir)
        bucket = cast(
            "FilesystemDestinationClientConfiguration",
            destination.configuration(unresolved._bind_dataset_name(dataset_name)),
        )
        dataset = bucket.normalize_dataset_name(dlt.Schema(pipeline_name))
    # dlt keeps what was raised on the way; its frames would hold dbt's connection, and the warehouse stay locked.
    for resolved in (bucket, bucket.credentials):
        if isinstance(resolved, BaseConfiguration):
            resolved.__exception__ = None  # type: ignore[assignment]
    warehouse = dlt.config[f"pipelines.{pipeline_name}.warehouse"]
    return DuckDBSettings(
        lake_path=dataset_place(bucket, dataset),
        warehouse_path=(Path(active().local_dir) / Path(warehouse).expanduser()).resolve(),
        memory_limit=_duckdb_share(str(dlt.config["warehouse.memory_limit"])),
        statements=() if bucket.is_local_filesystem else _statements(bucket),
        environment=_environment(bucket.credentials) if bucket.protocol == "s3" else {},
    )


def _duckdb_share(memory_limit: str) -> str:
    """DuckDB's share of a size; anything else, as `none`, stays as it is, for DuckDB to take or to refuse."""
    size = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", memory_limit)
    return f"{Decimal(size[1]) * _DUCKDB_SHARE:f}{size[2]}" if size else memory_limit


def _statements(bucket: FilesystemDestinationClientConfiguration) -> tuple[str, ...]:
    extension = _EXTENSION_OF.get(bucket.protocol)
    if extension is None:
        raise LakeError(f"DuckDB cannot read {bucket.bucket_url}: {LAKES}.")
    secret = _s3_secret(bucket.credentials) if extension == "httpfs" else _azure_secret(bucket)
    options = ", ".join(
        f"{name} {value}" if name in {"TYPE", "USE_SSL", "PROVIDER"} else f"{name} {_quote(value)}"
        for name, value in {**secret, "SCOPE": bucket.bucket_url}.items()
        if value is not None
    )
    statements = [f"LOAD {_quote(_extension_file(extension))}", f"CREATE OR REPLACE SECRET lake ({options})"]
    if extension == "azure" and sys.platform == "linux":
        # The default one looks for the system's certificates where only Red Hat has them
        # (https://github.com/duckdb/duckdb-azure/issues/185).
        statements.append("SET GLOBAL azure_transport_option_type = 'curl'")
    return tuple(statements)


def _extension_file(name: str) -> str:
    """Find the extension in its PyPI wheel, so that DuckDB downloads nothing."""
    package = importlib.import_module(f"duckdb_extension_{name}")
    version = f"v{duckdb.__version__}"
    path = Path(str(package.__file__)).parent / "extensions" / version / f"{name}.duckdb_extension"
    if not path.exists():
        raise LakeError(
            f"duckdb-extension-{name} is not the version of duckdb ({duckdb.__version__}): install the two together."
        )
    return str(path)


def _s3_secret(credentials: CredentialsConfiguration | str) -> Mapping[str, Any]:
    aws = cast("AwsCredentials", credentials)
    keys = aws.to_session_credentials()
    endpoint = urlparse(aws.endpoint_url or "https://s3.amazonaws.com")
    return {
        "TYPE": "s3",
        "KEY_ID": keys["aws_access_key_id"],
        "SECRET": keys["aws_secret_access_key"],
        "SESSION_TOKEN": keys["aws_session_token"] or "",  # Where none is said, DuckDB takes the environment's.
        "REGION": _region(aws),
        "ENDPOINT": f"{endpoint.netloc}{endpoint.path}".rstrip("/") if aws.endpoint_url else None,
        "URL_STYLE": aws.s3_url_style or ("path" if aws.endpoint_url else None),
        "USE_SSL": "false" if endpoint.scheme == "http" else "true",
    }


def _environment(credentials: CredentialsConfiguration | str) -> Mapping[str, str | None]:
    """Give the variables of https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html.

    By each of its names, as another one of the environment's may win, and none for what the settings do not say.
    """
    aws = cast("AwsCredentials", credentials)
    keys = aws.to_session_credentials()
    endpoint = aws.endpoint_url or None
    return {
        "AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
        **dict.fromkeys(("AWS_SESSION_TOKEN", "AWS_TOKEN"), keys["aws_session_token"] or None),
        **dict.fromkeys(("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"), endpoint),
        **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), _region(aws)),
        "AWS_ALLOW_HTTP": "true" if endpoint and endpoint.startswith("http:") else None,
        **dict.fromkeys(("AWS_S3_EXPRESS", "AWS_SKIP_SIGNATURE", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST")),
    }


def _region(aws: AwsCredentials) -> str | None:
    """Tell the region. None: Amazon is asked for the bucket's; elsewhere botocore, which writes, takes this one."""
    return aws.region_name or ("us-east-1" if aws.endpoint_url else None)


def _azure_secret(bucket: FilesystemDestinationClientConfiguration) -> Mapping[str, Any]:
    connection_string = (bucket.kwargs or {}).get("connection_string")
    if connection_string:
        return {"TYPE": "azure", "CONNECTION_STRING": connection_string}
    azure = cast("AzureCredentials", bucket.credentials)
    name = azure.azure_storage_account_name
    if isinstance(azure, AzureCredentials) and azure.has_default_credentials():
        return {"TYPE": "azure", "PROVIDER": "credential_chain", "ACCOUNT_NAME": name}
    key_name = "AccountKey" if azure.azure_storage_account_key else "SharedAccessSignature"
    key = azure.azure_storage_account_key or azure.azure_storage_sas_token
    endpoint = f";BlobEndpoint=https://{azure.azure_account_host}" if azure.azure_account_host else ""
    return {"TYPE": "azure", "CONNECTION_STRING": f"AccountName={name};{key_name}={key}{endpoint}"}


def _quote(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
