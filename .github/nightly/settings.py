"""Put the secrets that are set into `.dlt/secrets.toml`, and say where the lake is.

A secret that is not set arrives as an empty variable, which dlt would take for a setting: hence the file. Its later
steps then need no secrets in their environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import tomlkit

SECTIONS: Final = ("DESTINATION__", "SOURCES__")
SECRETS: Final = Path(".dlt/secrets.toml")

R2: Final = {
    "credentials": {"region_name": "auto"},
    "kwargs": {
        "fixed_upload_size": True,
        "max_concurrency": 4,
        "config_kwargs": {"connect_timeout": 10, "read_timeout": 20},
    },
}
"""What `.dlt/example.secrets.toml` sets for R2 beside the keys; it says why."""


def main() -> int:
    """Write the file; return the exit code."""
    # A secret that was pasted with a newline at its end is the same secret.
    given = {name: value.strip() for name, value in os.environ.items() if name.startswith(SECTIONS) and value.strip()}
    settings: dict[str, Any] = {}
    for name, value in given.items():
        *sections, key = name.lower().split("__")
        table = settings
        for section in sections:
            table = table.setdefault(section, {})
        table[key] = value
    lake = settings.get("destination", {}).get("filesystem", {})
    if lake and not lake.get("bucket_url"):
        print("::error::There are keys for a bucket, but no secret DESTINATION__FILESYSTEM__BUCKET_URL.")
        return 1
    endpoint = lake.get("credentials", {}).get("endpoint_url", "")
    if endpoint:
        lake["credentials"].setdefault("s3_url_style", "path")
    if ".r2.cloudflarestorage.com" in endpoint:
        lake["credentials"] = R2["credentials"] | lake["credentials"]
        lake["kwargs"] = R2["kwargs"]
    SECRETS.touch(mode=0o600)
    SECRETS.write_text(tomlkit.dumps(settings))
    where = "bucket" if lake else "cache"
    print("The lake is in your bucket." if lake else "No bucket is set: the lake is in the Actions cache.")
    output = os.environ.get("GITHUB_OUTPUT")
    if output:
        with Path(output).open("a") as outputs:
            outputs.write(f"lake={where}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
