"""Threads for questions to strangers, beside the run: neither its work nor its end waits for who is slow."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
R = TypeVar("R")


def beside(work: Callable[[], R]) -> Future[R]:
    """Do some work in a thread of its own, and give what will come of it."""
    [future] = each_beside(lambda _: work(), [None], 1)
    return future


def each_beside(work: Callable[[T], R], items: Iterable[T], workers: int) -> list[Future[R]]:
    """Do some work for each of several items, and give what will come of them, in their order.

    The threads are daemons, which those of a `ThreadPoolExecutor` are not: Python waits for all that is left to these,
    even after Ctrl-C.

    Args:
        work: What to do.
        items: For what.
        workers: For how many at once.
    """
    waiting: SimpleQueue[tuple[Future[R], T]] = SimpleQueue()
    futures: list[Future[R]] = []
    for item in items:
        futures.append(Future())
        waiting.put((futures[-1], item))

    def work_off() -> None:
        while True:
            try:
                future, item = waiting.get_nowait()
            except Empty:
                return
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)

    for _ in range(min(workers, len(futures))):
        threading.Thread(target=work_off, daemon=True).start()
    return futures
