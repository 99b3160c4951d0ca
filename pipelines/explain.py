"""What a job says where it cannot go on: one line for people, in place of a stack trace."""

from __future__ import annotations

from pipelines.lake.bucket import LakeError, explain_lake_error
from pipelines.lake.loads import causes
from pipelines.network.errors import NetworkError, ServiceUnreachable
from pipelines.sources.roster import NobodyToFollow


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
            case NetworkError() | LakeError() | NobodyToFollow():
                return str(cause)
        reason = explain_lake_error(cause)
        if reason:
            return reason
    return None
