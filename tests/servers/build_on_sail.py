"""A build of the sample's models, in a Python of its own. PySpark takes what `python -c` runs for its own tests.

python build_on_sail.py [FILE]: the file gets each text in which names are looked for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.lake import spark_functions
from pipelines.lake.bucket import LakeError
from pipelines.warehouse import build_warehouse

if TYPE_CHECKING:
    import pyarrow as pa


def write_down(file: Path) -> None:
    """Have each text written down in which names are looked for, a JSON array of them at a time."""
    names_in = spark_functions.duckdb_expression("names_in", "value")
    evaluate = spark_functions.evaluate_in_duckdb

    def evaluate_and_write(
        expression: str, columns: dict[str, spark_functions.Column], arrow_type: pa.DataType
    ) -> spark_functions.Column:
        import json  # noqa: PLC0415  (the engine takes this function elsewhere)

        if expression == names_in:
            with file.open("a", encoding="utf-8") as asked:
                asked.write(json.dumps(columns["value"].to_pylist()) + "\n")
        return evaluate(expression, columns, arrow_type)

    spark_functions.evaluate_in_duckdb = evaluate_and_write


for argument in sys.argv[1:]:
    write_down(Path(argument))
try:
    outcome = build_warehouse(is_sample=True)
except LakeError as error:
    sys.exit(str(error))
print(outcome)
sys.exit(not outcome.is_success)
