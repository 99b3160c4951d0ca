"""A build of the sample's models, in a Python of its own. PySpark takes what `python -c` runs for its own tests."""

import sys

from pipelines.warehouse import build_warehouse

outcome = build_warehouse(is_sample=True)
print(outcome)
sys.exit(not outcome.is_success)
