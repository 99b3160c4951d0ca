"""Cloudflare's R2 and Azure's blob storage, as their makers give them to developers, with the settings of a user."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import signal
import subprocess
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import tomlkit
from azure.storage.blob import BlobServiceClient

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES: Final = Path(__file__).parent / "buckets"
BUCKET: Final = "my-bucket"
CONTAINER: Final = "my-container"


@dataclass(frozen=True)
class BucketServer:
    """A server with one empty bucket.

    Attributes:
        example: Where the settings for it begin in example.secrets.toml.
        credentials: The credentials, by the names in the example.
        here: The setting that says that it is on this machine, where the example has none.
        environment: What a process has to know about this machine to reach it.
    """

    example: str
    credentials: dict[str, str]
    here: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> list[str]:
        return [value for name, value in self.credentials.items() if "key" in name]

    def write_settings(self, project: Path) -> None:
        """Give a project a folder of the bucket, as a user does it: the part of example.secrets.toml, filled in."""
        parts = (PROJECT_ROOT / ".dlt" / "example.secrets.toml").read_text().split("\n\n")
        (part,) = (part for part in parts if part.startswith(f"# {self.example}"))
        _, *lines = part.splitlines()
        settings: dict[str, Any] = tomllib.loads("\n".join(line.removeprefix("# ") for line in lines))
        lake = settings["destination"]["filesystem"]
        examples: dict[str, str] = lake["credentials"]
        lake["credentials"] = {name: self.credentials.get(name, text) for name, text in examples.items()} | self.here
        lake["bucket_url"] = lake["bucket_url"].replace("raw", project.parent.name)
        path = project / ".dlt" / "secrets.toml"
        path.touch(mode=0o600)
        path.write_text(tomlkit.dumps(settings))


@contextmanager
def r2(folder: Path) -> Iterator[BucketServer]:
    """Start Cloudflare's own local R2, with a token for the objects of one bucket."""
    key, secret = secrets.token_hex(16), secrets.token_hex(32)
    _require("node")
    with _node("r2.mjs", str(folder), BUCKET, key, secret) as endpoint:
        credentials = {"aws_access_key_id": key, "aws_secret_access_key": secret, "endpoint_url": endpoint}
        yield BucketServer("Cloudflare R2", credentials)


@contextmanager
def azure(folder: Path) -> Iterator[BucketServer]:
    """Start Azurite over TLS, as Azure is, with one container."""
    account, key = "mylake", base64.b64encode(secrets.token_bytes(64)).decode()
    _require("node", "openssl")
    certificate, private_key = folder / "certificate.pem", folder / "key.pem"
    openssl = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -out {certificate} -keyout {private_key}"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*openssl.split(), *names], check=True, capture_output=True)
    azurite = "node_modules/azurite/dist/src/blob/main.js --blobHost 127.0.0.1 --blobPort 0 --disableTelemetry --silent"
    options = f"--skipApiVersionCheck --location {folder} --cert {certificate} --key {private_key}"
    accounts = {"AZURITE_ACCOUNTS": f"{account}:{key}"}
    with _node(*azurite.split(), *options.split(), environment=accounts) as endpoint:
        url = f"{endpoint}/{account}"
        with BlobServiceClient(url, credential=key, connection_verify=str(certificate)) as client:
            client.create_container(CONTAINER)
        credentials = {"azure_storage_account_name": account, "azure_storage_account_key": key}
        here = {"azure_account_host": url.removeprefix("https://")}
        # Whom Python, and whom DuckDB, trust in the place of the system's authorities.
        trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_INFO"), str(certificate))
        yield BucketServer("Azure Blob Storage", credentials, here, trust)


def _require(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing or not (PACKAGES / "node_modules").is_dir():
        pytest.skip(f"{', '.join(missing) or 'the server'} is not installed (tests/servers/setup.sh)")


@contextmanager
def _node(*command: str, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server until the end of the block, and give the address that it prints."""
    with subprocess.Popen(
        ["node", *command],
        cwd=PACKAGES,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout
        addresses = (found[0] for line in server.stdout if (found := re.search(r"https?://\S+", line)))
        try:
            yield next(addresses)
        finally:
            # Node from PyPI is the child of a script, which would not pass a signal on.
            os.killpg(server.pid, signal.SIGKILL)
