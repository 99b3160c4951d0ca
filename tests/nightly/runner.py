"""A runner of GitHub Actions, as far as the nightly needs one: clean checkout, fresh home, the job's own steps."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

WORKFLOW: Final = PROJECT_ROOT / ".github" / "workflows" / "nightly.yml"

PREPARED_STEPS: Final = ("Install",)
"""What the test's own environment already is: the packages of requirements.lock."""

JOB: Final[list[dict[str, Any]]] = yaml.safe_load(WORKFLOW.read_text())["jobs"]["night"]["steps"]
STEPS: Final = tuple(
    step["name"]
    for step in JOB
    if "run" in step and step["name"] not in PREPARED_STEPS and "'cache'" not in step.get("if", "")
)
"""What the job runs itself where the lake is in a bucket, by name."""

MOCK_GH: Final = """#!/usr/bin/env bash
# Knows whether the cache, a folder, has anything.
[ "$1 $2" = "cache list" ] && ls "$CACHE" 2> /dev/null | wc -l
"""


@dataclass
class Runner:
    """One machine, for one night.

    Attributes:
        folder: Where its home and its checkout are; empty before.
        settings: What the fork's `.dlt/config.toml` says otherwise, by line's beginning.
        secrets: The repository's secrets.
        cache: What actions/cache keeps; a folder, standing in for the service.
        is_cache_down: Whether it gives nothing, as if it had nothing.
        environment: More variables, to run the same steps in less time.
    """

    folder: Path
    settings: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    cache: Path | None = None
    is_cache_down: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.checkout = self.folder / "checkout"
        subprocess.run(["git", "clone", "--quiet", "--local", PROJECT_ROOT, self.checkout], check=True)
        config = self.checkout / ".dlt" / "config.toml"
        lines = config.read_text().splitlines()
        for beginning, line in self.settings.items():
            (place,) = (number for number, text in enumerate(lines) if text.startswith(beginning))
            lines[place] = line
        config.write_text("\n".join(lines))
        gh = self.folder / "home" / "bin" / "gh"
        gh.parent.mkdir(parents=True)
        gh.write_text(MOCK_GH)
        gh.chmod(0o755)

    def run(self, *, kills: str | None = None, when: Callable[[], bool] = lambda: True) -> dict[str, str]:
        """Run the job `night`, and give what became of each step: success, failure or skipped.

        Args:
            kills: A step that is killed, with all that it started.
            when: As soon as this is so.
        """
        outcomes: dict[str, str] = {}
        for step in JOB:
            name = step.get("name") or step["uses"]
            is_failed = "failure" in outcomes.values()
            if name in PREPARED_STEPS or not self._is_due(step.get("if"), is_failed=is_failed):
                outcomes[name] = "skipped"
            elif "uses" in step:
                outcomes[name] = self._use(step)
            else:
                outcomes[name] = self._do(step, when if name == kills else None)
        return outcomes

    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    def _is_due(self, condition: str | None, *, is_failed: bool) -> bool:
        if condition is None:
            return not is_failed
        parts = condition.split(" && ")
        if "always()" in parts:
            parts.remove("always()")
        elif is_failed:
            return False
        return all(self._holds(part) for part in parts)

    def _holds(self, condition: str) -> bool:
        match = re.fullmatch(r"steps\.(\w+)\.outputs\.(\w+) == '(\w*)'", condition)
        assert match, f"a condition that this runner does not know: {condition}"
        step, output, value = match.groups()
        return self.outputs.get(step, {}).get(output, "") == value

    def _use(self, step: dict[str, Any]) -> str:
        action = step["uses"].partition("@")[0]
        data = self.checkout / "_data"
        if action == "actions/cache/restore" and self.cache and self.cache.exists() and not self.is_cache_down:
            shutil.copytree(self.cache, data)
            self.outputs[step["id"]] = {"cache-matched-key": "lake-of-the-last-night"}
        if action == "actions/cache/save" and self.cache:
            shutil.rmtree(self.cache, ignore_errors=True)
            shutil.copytree(data, self.cache)
        return "success"

    def _do(self, step: dict[str, Any], kill_when: Callable[[], bool] | None) -> str:
        output = self.folder / "output"
        output.write_text("")
        given = {name: self._fill(str(value)) for name, value in step.get("env", {}).items()}
        home = self.folder / "home"
        process = subprocess.Popen(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.checkout / step.get("working-directory", "."),
            env={
                "PATH": os.pathsep.join([str(home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
                "CACHE": str(self.cache),
                "LANG": "C.UTF-8",
                "HOME": str(home),
                # As root, dlt's folder is not in the home folder; the packages are, here, those of another checkout.
                "DLT_DATA_DIR": str(home / "dlt"),
                "PYTHONPATH": str(self.checkout),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "GITHUB_REPOSITORY": "somebody/a-fork",
                "GITHUB_REF": "refs/heads/main",
            }
            | self.environment
            | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        while kill_when and process.poll() is None:
            if kill_when():
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.01)
        said, _ = process.communicate()
        self.log.append(f"# {step['name']}\n{said}")
        self.outputs[step.get("id", step["name"])] = dict(
            line.split("=", 1) for line in output.read_text().splitlines()
        )
        return "failure" if process.returncode else "success"

    def _fill(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            match found[1].split("."):
                case ["secrets", name]:
                    return self.secrets.get(name, "")
                case ["steps", step, "outputs", name]:
                    return self.outputs.get(step, {}).get(name, "")
            return ""

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)
