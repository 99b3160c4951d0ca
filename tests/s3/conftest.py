"""An S3 server that checks signatures: rclone over a folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "community"
KEY = "0123456789abcdef0123456789abcdef"
SECRET = "a-secret-that-is-never-printed"


@dataclass(frozen=True)
class S3Server:
    """An S3 server.

    Attributes:
        endpoint: Its URL.
        folder: Where it keeps its buckets, as folders.
    """

    endpoint: str
    folder: Path

    def settings(self, destination: str = "FILESYSTEM") -> dict[str, str]:
        """What a user would set, and nothing else."""
        lake = f"DESTINATION__{destination}"
        return {
            f"{lake}__BUCKET_URL": f"s3://{BUCKET}/raw",
            f"{lake}__CREDENTIALS__AWS_ACCESS_KEY_ID": KEY,
            f"{lake}__CREDENTIALS__AWS_SECRET_ACCESS_KEY": SECRET,
            f"{lake}__CREDENTIALS__ENDPOINT_URL": self.endpoint,
            f"{lake}__CREDENTIALS__REGION_NAME": "auto",
            f"{lake}__CREDENTIALS__S3_URL_STYLE": "path",
        }


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    folder = tmp_path_factory.mktemp("s3")
    port = free_port()
    binary = Path(sys.executable).with_name("rclone")
    options = ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"]
    # Its cache of folders must be short, since each test looks into the folder itself; without one it spins.
    options += ["--dir-cache-time", "1s"]
    with subprocess.Popen([binary, "serve", "s3", *options, folder], stderr=subprocess.DEVNULL) as server:
        wait_for(port)
        yield S3Server(f"http://127.0.0.1:{port}", folder)
        server.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture
def s3(rclone: S3Server) -> S3Server:
    """The server with an empty bucket."""
    shutil.rmtree(rclone.folder / BUCKET, ignore_errors=True)
    (rclone.folder / BUCKET).mkdir()
    # For a second the server may list what another test left, and would then not find it.
    files = s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=rclone.endpoint, use_listings_cache=False)
    while files.find(BUCKET):
        time.sleep(0.05)
    return rclone
