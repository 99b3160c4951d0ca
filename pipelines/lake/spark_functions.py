"""What Spark and Sail cannot say in SQL as DuckDB does: functions of a session that ask DuckDB itself.

Rules that read words (which names are in a text, which domain an address has) are long, and two engines' regular
expressions differ. So the expression of dbt's own DuckDB macro is evaluated, by DuckDB, on the engine's workers: on
each of them this package is installed.
"""

from __future__ import annotations

import functools
import importlib
import runpy
from collections.abc import Callable  # noqa: TC003  (Spark reads the hints of functions when it runs)
from typing import TYPE_CHECKING, Any, Final

import duckdb
import jinja2
import pyarrow as pa

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.names_in_texts import LETTERS_IN_SQL

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    Column = pa.Array[Any]
else:  # Spark reads the hints, and the class takes no argument when it runs.
    Column = pa.Array

_MACROS: Final = PROJECT_ROOT / "dbt" / "macros"
_GROUPS: Final = PROJECT_ROOT / "dbt/models/intermediate/from_core/on_duckdb/int_follow_groups.py"

_OF_A_TEXT: Final[dict[str, tuple[tuple[str, *tuple[str | int, ...]], str, pa.DataType]]] = {
    "names_in": (("names_in", "value"), "array<string>", pa.list_(pa.string())),
    "linked_post_1": (("linked_post", "value", 1), "string", pa.string()),
    "linked_post_2": (("linked_post", "value", 2), "string", pa.string()),
    "domain_of": (("domain_of", "value"), "string", pa.string()),
    "hashtag_of": (("hashtag_of", "value"), "string", pa.string()),
    "small_letters": (("small_letters", "value"), "string", pa.string()),
    "trimmed": (("trimmed", "value"), "string", pa.string()),
    "grapheme_count": (("grapheme_count", "value"), "bigint", pa.int64()),
}
_GROUP: Final = pa.list_(pa.struct([("did", pa.string()), ("group_did", pa.string()), ("betweenness", pa.float64())]))


def register_functions(spark: SparkSession) -> None:
    """Give a session the functions that `dbt/macros/spark.sql` calls."""
    functions = importlib.import_module("pyspark.sql.functions")  # The extra `sail` brings it.
    arrow_udf: Callable[[Callable[..., Any], str], Any] = functions.arrow_udf

    for name, (macro, returned, arrow_type) in _OF_A_TEXT.items():
        evaluate = _of_a_text(duckdb_expression(*macro), arrow_type)
        spark.udf.register(name, arrow_udf(evaluate, returned))
    handle = duckdb_expression("handle_in_bytes", "value", "byte_start", "byte_end")
    spark.udf.register("handle_in_bytes", arrow_udf(_of_bytes(handle), "string"))
    groups = "array<struct<did:string,group_did:string,betweenness:double>>"
    spark.udf.register("follow_groups", arrow_udf(_of_ties(runpy.run_path(str(_GROUPS))["_groups"]), groups))


def duckdb_expression(macro: str, *arguments: str | int) -> str:
    """Write what a macro of the dbt project is for DuckDB, of columns of these names."""
    expression = str(getattr(_macros(), f"duckdb__{macro}")(*arguments)).strip()
    return f"coalesce({expression}, [])" if macro == "names_in" else expression


@functools.cache
def _macros() -> Any:
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    sources = [(_MACROS / name).read_text(encoding="utf-8") for name in ("sql.sql", "publishing.sql")]
    template = environment.from_string("\n".join(sources), globals={"return": lambda value: value})
    return template.module


def _of_a_text(expression: str, arrow_type: pa.DataType) -> Callable[[Column], Column]:
    def evaluate(value: Column) -> Column:
        return evaluate_in_duckdb(expression, {"value": value}, arrow_type)

    return evaluate


def _of_bytes(expression: str) -> Callable[[Column, Column, Column], Column]:
    def evaluate(value: Column, byte_start: Column, byte_end: Column) -> Column:
        columns = {"value": value, "byte_start": byte_start, "byte_end": byte_end}
        return evaluate_in_duckdb(expression, columns, pa.string())

    return evaluate


def _of_ties(find_groups: Callable[[list[tuple[str, str, int]]], list[tuple[str, str, float]]]) -> Any:
    def evaluate(ties: Column) -> Column:
        packs: list[Any] = ties.to_pylist()
        names = ("did", "group_did", "betweenness")
        found = [find_groups([(*tie.values(),) for tie in pack]) for pack in packs]
        people = [[dict(zip(names, person, strict=True)) for person in pack] for pack in found]
        return pa.array(people, _GROUP)

    return evaluate


def evaluate_in_duckdb(expression: str, columns: dict[str, Column], arrow_type: pa.DataType) -> Column:
    """Evaluate an expression for each row, in order."""
    connection = _connection().cursor()
    for name, value in LETTERS_IN_SQL.items():
        connection.execute(f"set variable {name} = $1", [value])
    connection.register("batch", pa.table(columns))
    result = connection.execute(f"select {expression} as result from batch").to_arrow_table().column(0)
    return result.combine_chunks().cast(arrow_type)


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})
