"""The session of Spark Connect in which dbt builds the models, and what it is told of the lake.

DuckDB's plugin tells each cursor where the lake is and who is left out (`dbt_plugin`); here the same is views: a view
for each raw table, of all its files, in which each row has its place, and views of dlt's own files, which are small.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from pipelines.lake.bucket import LakeError, explain_lake_error
from pipelines.lake.duckdb_settings import as_pattern, duckdb_settings
from pipelines.lake.left_out import read_left_out
from pipelines.lake.place import PATTERN
from pipelines.lake.spark_functions import register_functions
from pipelines.lake.tables import CHECK_TABLES, LIVE_TABLES, RAW_TABLES, SOURCE_FILE, SOURCE_ROW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from pipelines.lake.duckdb_settings import DuckDBSettings

REMOTE: Final = "sc://"
"""How the address of a server of Spark Connect begins, see
https://spark.apache.org/docs/latest/spark-connect-overview.html."""

SCHEMA: Final = "BLUESKY_SPARK_SCHEMA"
"""The variable that tells `dbt/profiles.yml` in which schema dbt makes the tables."""
BY_ITSELF: Final = "bluesky"
"""That schema where the variable is not set."""

# Sail expands braces, and Spark variables, in SQL too; both skip files whose names begin so; Sail decodes %20 in URLs.
_READ_OTHERWISE: Final = re.compile(rf"{PATTERN.pattern}|[{{\x00-\x1f\x7f]|/[._][^/]*[.]parquet$|://.*%")
_RETRIES: Final = 3
_READ_WHOLE_BELOW: Final = 10 << 20
"""Bytes from which on Sail reads parts of a file side by side: `repartition_file_min_size` in
https://datafusion.apache.org/user-guide/configs.html."""
_MOST_LETTERS: Final = 300
_STACK: Final = "SAIL_RUNTIME__STACK_SIZE"
_LOADS: Final = {
    "load_id": "varchar",
    "schema_name": "varchar",
    "status": "bigint",
    "inserted_at": "timestamptz",
    "schema_version_hash": "varchar",
}
_VERSIONS: Final = {
    "version": "bigint",
    "engine_version": "bigint",
    "inserted_at": "timestamptz",
    "schema_name": "varchar",
    "version_hash": "varchar",
    "schema": "varchar",
}


def check_client(engine: str) -> None:
    """See that the client of Spark Connect is there.

    Raises:
        LakeError: It is not installed.
    """
    if importlib.util.find_spec("pyspark") is None:
        raise LakeError(f"The client of the engine {engine} is not installed: uv sync --extra sail")


def check_path(path: str) -> None:
    """See that engines take a path for what it is, not for a pattern: they would find nothing there, or other files.

    Raises:
        LakeError: They would not.
    """
    if _READ_OTHERWISE.search(path):
        raise LakeError(
            f"Sail and Spark misread {path!r}: use no * ? [ {{, backslash or control character, no % in a bucket, "
            'and no file that begins with _ or a dot, or build with engine = "duckdb" in [warehouse].'
        )


@contextmanager
def open_session(engine: str, environment: Mapping[str, str | None] | None = None) -> Iterator[SparkSession]:
    """Open a session of an engine.

    Args:
        engine: `sail`, which is started in this process; or the address of a server of Spark Connect, `sc://host:port`,
            which is up already.
        environment: What Sail takes from the environment to reach the bucket. A server has keys of its own.

    Raises:
        LakeError: The client is not installed; the server cannot be reached, or does not do what it is asked.
    """
    check_client(engine)
    from pyspark.errors import PySparkException  # noqa: PLC0415  (the extra `sail` brings it)
    from pyspark.sql import SparkSession  # noqa: PLC0415
    from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415

    with ExitStack() as stack:
        address = engine if engine.startswith(REMOTE) else stack.enter_context(_sail(environment or {}))
        os.environ["SPARK_REMOTE"] = address  # dbt asks for the session anew for each statement.
        builder: Any = SparkSession.builder
        try:
            session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
        except PySparkException as error:
            raise LakeError(f"The engine at {address} cannot be reached: is it up? ({_reason(error)})") from error
        stack.callback(session.stop)
        # Of an engine that is gone, PySpark would ask for ten minutes, at each statement.
        session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
        try:
            yield session
        except PySparkException as error:
            raise LakeError(f"The engine at {address} cannot go on: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:_MOST_LETTERS]


@contextmanager
def _sail(environment: Mapping[str, str | None]) -> Iterator[str]:
    """Start Sail in this process, and give its address.

    `SAIL_MODE` says whether it runs by itself (`local`) or as a cluster; see Sail's own documentation.
    """
    from pysail.spark import SparkConnectServer  # noqa: PLC0415  (the extra `sail` brings it)

    os.environ.setdefault(_STACK, str(16 << 20))  # Plans of models on models are deep.
    os.environ.setdefault("RUST_LOG", "error")  # Else it tells of each task.
    with environment_with(environment):
        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        host, port = server.listening_address
        try:
            yield f"{REMOTE}{host}:{port}"
        finally:
            server.stop()


@contextmanager
def environment_with(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Have variables in the environment of this process, and not have those that are None."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        _set(variables)
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def tell_session(spark: SparkSession, pipeline_name: str, tables: Path) -> None:
    """Tell a session what is in the lake and who is left out, and give it our functions.

    Args:
        spark: The session.
        pipeline_name: Whose lake it is.
        tables: Where the engine is to write its tables.

    Raises:
        LakeError: The lake or the settings cannot be read.
    """
    settings = duckdb_settings(pipeline_name)
    check_path(str(tables))
    left_out = pa.Table.from_pylist(
        [{"did": row["did"], "name": row["name"]} for row in read_left_out(pipeline_name).rows()],
        pa.schema([("did", pa.string()), ("name", pa.string())]),
    )
    _view(spark, "lake_left_out", left_out)
    _view(spark, "lake_tables_folder", pa.table({"folder": [str(tables)]}))
    try:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            settings.configure(connection)
            _tell_files(spark, settings, connection, tables)
    except duckdb.Error as error:
        reason = explain_lake_error(error) or f"The lake cannot be read: {str(error).splitlines()[0]}"
        raise LakeError(reason) from error
    register_functions(spark)


@contextmanager
def own_schema(spark: SparkSession, tables: Path) -> Iterator[None]:
    """Have dbt build in a schema of this run's own: a server may have other runs, and tables of its users.

    Args:
        spark: The session.
        tables: Where the engine writes the tables: no two runs share it.
    """
    schema = f"{BY_ITSELF}_{hashlib.sha256(str(tables).encode()).hexdigest()[:12]}"
    drop = f"drop schema if exists {schema} cascade"
    with environment_with({SCHEMA: schema}):
        spark.sql(drop)  # A run that was broken off left it.
        yield
        spark.sql(drop)


def _tell_files(
    spark: SparkSession, settings: DuckDBSettings, connection: duckdb.DuckDBPyConnection, tables: Path
) -> None:
    connection.execute("set variable lake_path = $1", [settings.lake_path])
    connection.execute("set variable lake_pattern = $1", [settings.lake_pattern])
    connection.execute("""
        create temp table lake_files as
        select substr(file, length(getvariable('lake_path')) + 2) as source_file, file
        from glob(getvariable('lake_pattern') || '/**')
        where regexp_matches(source_file, '[.]parquet$|^_dlt_[^/]*/[^/]*[.]jsonl$')
    """)
    _view(spark, "lake_files", connection.execute("select source_file from lake_files").to_arrow_table())
    compacted = _files(connection, "source_file like '%/compact-%.parquet'")
    held = "select ''::varchar as held_in, ''::varchar as source_file where false"
    if compacted:
        held = """
            select
                substr(file_name, length(getvariable('lake_path')) + 2) as held_in,
                unnest(from_json(decode(value), '["varchar"]')) as source_file
            from parquet_kv_metadata($1)
            where decode(key) = 'holds'
        """
    _view(spark, "lake_held_files", connection.execute(held, [compacted] if compacted else []).to_arrow_table())
    for name, columns in (("_dlt_loads", _LOADS), ("_dlt_version", _VERSIONS)):
        files = _files(connection, f"starts_with(source_file, '{name}/') and source_file like '%.jsonl'")
        _view(spark, f"lake_{name}", _json_rows(connection, files, columns))
    for table in (*RAW_TABLES, *CHECK_TABLES, *LIVE_TABLES):
        files = _files(connection, f"starts_with(source_file, '{table.name}/') and source_file like '%.parquet'")
        numbered = _number_rows(connection, files, tables / "numbered" / table.name)
        query = _rows_of_files(connection, settings, table.schema, files, numbered)
        spark.sql(query).createOrReplaceTempView(f"lake_{table.name}")


def _files(connection: duckdb.DuckDBPyConnection, condition: str) -> list[str]:
    query = f"select regexp_replace(file, '[*?\\[]', '[\\0]', 'g') from lake_files where {condition} order by file"
    return [file for (file,) in connection.execute(query).fetchall()]


def _json_rows(connection: duckdb.DuckDBPyConnection, files: Sequence[str], columns: dict[str, str]) -> pa.Table:
    types = ", ".join(f"'{name}': '{data_type}'" for name, data_type in columns.items())
    if not files:
        nothing = ", ".join(f"null::{data_type} as {name}" for name, data_type in columns.items())
        return connection.execute(f"select {nothing}, null::varchar as source_file where false").to_arrow_table()
    return connection.execute(
        f"""
        select {", ".join(columns)}, substr(filename, length(getvariable('lake_path')) + 2) as source_file
        from read_json(
            $1, columns = {{{types}}}, hive_partitioning = false, filename = true, maximum_object_size = 100000000
        )
        """,
        [files],
    ).to_arrow_table()


def _number_rows(connection: duckdb.DuckDBPyConnection, files: Sequence[str], folder: Path) -> dict[str, Path]:
    """Copy files of which the engine cannot tell the order of rows, with each row's place, and give each one's copy.

    Sail reads the row groups of a larger file side by side, in an order of its own. Compacted files say the place.
    """
    if not files:
        return {}
    found = connection.execute(
        """
        select file_name
        from parquet_file_metadata($1)
        where
            file_size_bytes >= $2
            and num_row_groups > 1
            and file_name not in (select file_name from parquet_schema($1) where name = $3)
        order by file_name
        """,
        [files, _READ_WHOLE_BELOW, SOURCE_ROW],
    ).fetchall()
    copies = {path: folder / f"{number}.parquet" for number, (path,) in enumerate(found)}
    for path, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        source = connection.sql("from read_parquet($1, file_row_number = true)", params=[as_pattern(path)])
        source.write_parquet(str(copy), compression="zstd")
    return copies


def _rows_of_files(
    connection: duckdb.DuckDBPyConnection,
    settings: DuckDBSettings,
    schema: pa.Schema,
    files: Sequence[str],
    numbered: Mapping[str, Path],
) -> str:
    """Write a query of the rows of some files, each with its file and its place there.

    A column that a file lacks is null. The engine numbers the rows of one file, not of many: each is asked by itself.
    """
    wanted = {field.name: spark_type(field.type) for field in schema} | {"_dlt_load_id": "string"}
    there: dict[str, set[str]] = {}
    if files:
        found = connection.execute("select file_name, name from parquet_schema($1)", [files]).fetchall()
        for file, column in found:
            there.setdefault(file, set()).add(column)
    selects = [
        "select "
        + ", ".join(f"cast(null as {data_type}) as `{name}`" for name, data_type in wanted.items())
        + ", cast(null as string) as lake_file, cast(null as string) as source_file"
        ", cast(null as bigint) as file_row_number where false"
    ]
    for path, columns in there.items():
        check_path(path)
        name = path[len(settings.lake_path) + 1 :].replace("'", "\\'")
        quoted = str(numbered.get(path, path)).replace("`", "``")
        row = "row_number() over (order by monotonically_increasing_id()) - 1"
        if path in numbered:
            row = "`file_row_number`"
        source, place = (
            (f"'{name}'", row)
            if SOURCE_FILE not in columns
            else (f"coalesce(`{SOURCE_FILE}`, '{name}')", f"coalesce(`{SOURCE_ROW}`, {row})")
        )
        cells = [
            f"cast({f'`{column}`' if column in columns else 'null'} as {data_type}) as `{column}`"
            for column, data_type in wanted.items()
        ]
        selects.append(
            f"select {', '.join(cells)}, '{name}' as lake_file, {source} as source_file"
            f", cast({place} as bigint) as file_row_number from parquet.`{quoted}`"
        )
    return " union all ".join(selects)


def spark_type(arrow_type: pa.DataType) -> str:
    """Name the type as Spark does."""
    if pa.types.is_list(arrow_type):
        return f"array<{spark_type(arrow_type.value_type)}>"
    if pa.types.is_struct(arrow_type):
        return f"struct<{','.join(f'{field.name}:{spark_type(field.type)}' for field in arrow_type)}>"
    if pa.types.is_timestamp(arrow_type):
        return "timestamp"
    names = {pa.string(): "string", pa.int64(): "bigint", pa.bool_(): "boolean", pa.float64(): "double"}
    return names[arrow_type]


def _view(spark: SparkSession, name: str, rows: pa.Table) -> None:
    columns = ", ".join(f"`{field.name}` {spark_type(field.type)}" for field in rows.schema)
    frame = spark.createDataFrame(rows) if rows.num_rows else spark.createDataFrame([], columns)
    frame.createOrReplaceTempView(name)
