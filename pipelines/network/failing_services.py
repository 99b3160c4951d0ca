"""Remembers which services fail, so that a run does not wait for the same one again and again."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

from pipelines.network.errors import NetworkError, RateLimited, ServiceFailed, ServiceUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES_IN_A_ROW: Final = 3
"""After so many, a service is left in peace until the next run."""

OUT_OF_REACH: Final = (ServiceUnreachable, RateLimited)
FAILING: Final = (*OUT_OF_REACH, ServiceFailed)

T = TypeVar("T")


class FailingServices:
    """Asks services, but none that has failed `FAILURES_IN_A_ROW` times. Safe to use from several threads."""

    def __init__(self) -> None:
        self._failures: dict[str, list[NetworkError]] = defaultdict(list)
        self._lock = threading.Lock()

    def ask(self, service: str, question: Callable[[], T], *, failures: tuple[type[NetworkError], ...] = FAILING) -> T:
        """Ask a service.

        Args:
            service: Its name, by which failures are counted.
            question: Asks it.
            failures: Errors that tell of the service, and not of what it was asked for.

        Raises:
            NetworkError: What the question raised; of a service that is left in peace, its last failure.
        """
        with self._lock:
            known = self._failures[service]
            if len(known) >= FAILURES_IN_A_ROW:
                raise known[-1].with_traceback(None)
        try:
            answer = question()
        except failures as error:
            with self._lock:
                self._failures[service].append(error)
            raise
        except NetworkError:
            self._has_answered(service)
            raise
        self._has_answered(service)
        return answer

    def _has_answered(self, service: str) -> None:
        with self._lock:
            self._failures[service].clear()
