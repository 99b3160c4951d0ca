"""dlt's loads, and the signals that arrive meanwhile.

In the main thread dlt takes SIGINT and SIGTERM for itself while it extracts, normalizes or loads: what is under way it
brings to a good end. Where that was all, it forgets the signal; else it says of the step that it failed.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from dlt.common.exceptions import SignalReceivedException
from dlt.common.runtime import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dlt
    from dlt.common.pipeline import LoadInfo
    from dlt.extract import DltSource


def load(pipeline: dlt.Pipeline, source: DltSource | None = None) -> LoadInfo:
    """Load what a source yields; without one, what is pending.

    Raises:
        SignalReceivedException: A signal arrived. What was loaded by then is complete.
        PipelineStepFailed: A step failed, or a signal broke it off: see `signal_behind`.
    """
    with signals.intercepted_signals():
        info: LoadInfo = pipeline.run(source)
        signals.raise_if_signalled()
    return info


def signal_behind(error: BaseException) -> int | None:
    """Find the number of the signal that an error comes of; None if it comes of none."""
    for cause in causes(error):
        match cause:
            case SignalReceivedException():
                return cause.signal_code
            case KeyboardInterrupt():
                return signal.SIGINT
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it comes of, which dlt, of a file that could not be loaded, keeps in an attribute."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "client_exception", None) or cause.__cause__ or cause.__context__
