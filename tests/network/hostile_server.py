"""A server on localhost that keeps to no rule of HTTP: it sends the bytes that a test gives it, as long as it can."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class HostileServer:
    """Answers each connection with the pieces that `answer` gives, until whoever asks hangs up.

    Args:
        answer: Gives the pieces.
        pause: Seconds between them.
    """

    def __init__(self, answer: Callable[[], Iterator[bytes]], pause: float = 0) -> None:
        self._answer = answer
        self._pause = pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.connection_count = 0
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connection_count += 1
                threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65_536)
            for piece in self._answer():
                connection.sendall(piece)
                time.sleep(self._pause)
