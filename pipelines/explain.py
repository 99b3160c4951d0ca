"""What a job says where it cannot go on: one line for people, in place of a stack trace."""

from __future__ import annotations

from typing import Final, get_origin

from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException

from pipelines.lake.bucket import LakeError, explain_lake_error
from pipelines.lake.loads import causes
from pipelines.lake.unknown_settings import SETTINGS
from pipelines.network.errors import NetworkError, ServiceUnreachable
from pipelines.sources.roster import NobodyToFollow

_KINDS: Final = {float: "a number", int: "a whole number", bool: "true or false", list: "a list", str: "a text"}


def explain(error: BaseException, *, sample: str | None = "python pipelines/bluesky.py --sample") -> str | None:
    """Say in one line what went wrong, and what to do; None for what no user can cause.

    Args:
        error: What was raised.
        sample: The command that needs no network; None where none does the same.
    """
    for cause in causes(error):
        match cause:
            case ServiceUnreachable():
                return f"{cause}. To try it without a network: {sample}" if sample else str(cause)
            case ConfigValueCannotBeCoercedException():
                return _wrong_kind(cause)
            case NetworkError() | LakeError() | NobodyToFollow():
                return str(cause)
        reason = explain_lake_error(cause)
        if reason:
            return reason
    return None


def _wrong_kind(error: ConfigValueCannotBeCoercedException) -> str:
    """Name the setting, and not its value, which may be a secret one."""
    sections = " or ".join(f"[{section}]" for section, keys in SETTINGS.items() if error.field_name in keys)
    place = f" in {sections}" if sections else ""
    wanted = _KINDS.get(get_origin(error.hint) or error.hint, "a value of another kind")
    return f"The setting {error.field_name}{place} takes {wanted}: correct it in .dlt/config.toml or the environment."
