"""A build of the sample's models, in a Python of its own. PySpark takes what `python -c` runs for its own tests."""

import sys

from pipelines.lake.bucket import LakeError
from pipelines.warehouse import build_warehouse

try:
    outcome = build_warehouse(is_sample=True)
except LakeError as error:
    sys.exit(str(error))
print(outcome)
sys.exit(not outcome.is_success)
