from __future__ import annotations

import re
import secrets
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Bucket:
    """A bucket on an S3 server that checks signatures.

    Attributes:
        lake: Where the server keeps the lake.
        secrets: What a repository sets to use it, by dlt's names.
    """

    lake: Path
    secrets: dict[str, str]


PREFIX: Final = "raw é/100%#1/it's ]/a%20b"
"""A folder in the bucket, named by what some reader of paths takes for something else."""


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Bucket]:
    folder = tmp_path / "s3" / "my-bucket"
    folder.mkdir(parents=True)
    key, secret = "nightly", secrets.token_hex(16)
    command = ["rclone", "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{key},{secret}"]
    with subprocess.Popen(
        [*command, "--config", "/dev/null", "--dir-cache-time", "1s", str(folder.parent)],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        address = next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        lake = "DESTINATION__FILESYSTEM__"
        yield Bucket(
            folder / PREFIX,
            {
                f"{lake}BUCKET_URL": f"s3://my-bucket/{PREFIX}\n",
                f"{lake}CREDENTIALS__AWS_ACCESS_KEY_ID": key,
                f"{lake}CREDENTIALS__AWS_SECRET_ACCESS_KEY": secret,
                f"{lake}CREDENTIALS__ENDPOINT_URL": address,
                f"{lake}CREDENTIALS__REGION_NAME": "auto",
            },
        )
        server.terminate()
