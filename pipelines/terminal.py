"""What a job says, so that nobody else's words can do anything to whoever reads it.

Posts, handles and servers' messages are other people's. Sent to a terminal as they are, they could clear it, write the
clipboard, forge a line or hide their end. So there are two ways out, and both make what is not plain text visible:
a `Terminal`, for all that a job says, and the guard in `opened`, for whatever else prints: stack traces, dbt, warnings.
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO, TYPE_CHECKING, Any, Final, TextIO, cast

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import ConsoleOptions, RenderableType
    from typing_extensions import Buffer

INVISIBLE_LETTERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
"""Letters and marks that show nothing, though Python calls them printable."""

_MAY_BE_NONE: Final = re.compile(rf"[^ -~]|[{INVISIBLE_LETTERS}]")


def visible(text: str, keep: str = "") -> str:
    r"""Write as Python's `repr` does (`\x1b`, `\u202e`) what a terminal obeys, or what is there and shows nothing.

    That is: controls, line ends, overrides of the direction of writing, characters without width, blanks other than
    a space, halves of a pair, and what Unicode has not assigned.

    Args:
        text: Anybody's words.
        keep: Characters that stay all the same.
    """

    def shown(found: re.Match[str]) -> str:
        char = found[0]
        if char in keep or (char.isprintable() and char not in INVISIBLE_LETTERS):
            return char
        return char.encode("unicode_escape").decode()

    return _MAY_BE_NONE.sub(shown, text)


def styled(text: str, style: str) -> Text:
    """Give anybody's words a style; a `Terminal` shows a plain `str` as it is."""
    return Text(visible(text), style)


class Terminal(Console):
    """Where a job says what it does: a rich console in which text is text.

    Whatever is printed, drawn in a table or shown as progress is made visible, and no markup is read in it. The only
    controls that are sent are rich's own.

    Args:
        file: Where to write; stdout if not given.
        **options: As of `rich.console.Console`.
    """

    def __init__(self, file: IO[str] | None = None, **options: Any) -> None:
        super().__init__(file=file, soft_wrap=True, markup=False, highlight=False, emoji=False, **options)

    def say(self, *lines: str, style: str | None = None) -> None:
        """Print lines; a line end within one is shown, and ends no line."""
        for line in lines:
            self.print(line, style=style)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text of a string, before its place is measured."""
        return super().render_str(visible(text), **options | {"markup": False, "emoji": False, "highlight": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Draw something. Here all text comes through, also what was made without `render_str`."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                style = segment.style
                yield Segment(visible(segment.text, keep="\n"), style.update_link(None) if style else None)


def complain(line: str) -> None:
    """Print to stderr why a job cannot go on, or what it lacks, in one line."""
    print(visible(line), file=sys.stderr)


@contextmanager
def opened() -> Iterator[Terminal]:
    """Give the terminal of a command, and stand between all else that prints and the streams, while the block runs.

    What cannot be said (its disk is full, or nobody reads the pipe any more) ends no work. stderr tells of a full disk.
    """
    _open_what_is_closed()
    out, errors = _Outlet(sys.stdout), _Outlet(sys.stderr)
    with redirect_stdout(_Guarded(out)), redirect_stderr(_Guarded(errors)):
        yield Terminal(cast("IO[str]", out))
        out.flush()
        if out.trouble:
            complain(f"stdout takes no more, so that not all is there that was said: {out.trouble}.")
        errors.flush()


def _open_what_is_closed() -> None:
    """Open what the process was started without (`>&-`) on nothing: a file of the lake must not become its stdout."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


class _Patient(io.RawIOBase):
    """A file that takes all it is given, however slowly it is read.

    Whoever shares a terminal or a pipe may have set it not to wait (`O_NONBLOCK`): Python loses what its reader has no
    room for.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def write(self, content: Buffer, /) -> int:
        left = memoryview(content).cast("B")
        while left:
            written = self._file.write(left)
            if written is None:
                select.select([], [self._file], [])
            else:
                left = left[written:]
        return memoryview(content).nbytes

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def writable(self) -> bool:
        return True


def _patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Give a stream to write to in place of another, which waits for its reader and writes letters that it has not."""
    # Not every terminal, and no file of Windows, has all letters.
    stream.reconfigure(errors="backslashreplace")
    file = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(file, io.FileIO):
        return stream
    patient = _Patient(file)
    return io.TextIOWrapper(
        patient if stream.write_through else io.BufferedWriter(patient),  # type: ignore[arg-type]
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Outlet(io.TextIOBase):
    """A stream of the process, which is written to as long as it can be.

    Attributes:
        trouble: What went wrong with it; empty if nothing did.
    """

    def __init__(self, stream: TextIO | _Outlet) -> None:
        self._stream = _patient(stream) if isinstance(stream, io.TextIOWrapper) else stream
        self.trouble = ""

    def write(self, text: str) -> int:
        with self._as_long_as_it_can():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._as_long_as_it_can():
            self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @contextmanager
    def _as_long_as_it_can(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):  # Whoever reads no more wants no more.
                self.trouble = error.strerror or str(error)
            # What the stream still holds goes there too, when Python flushes it at the end.
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


class _Guarded(_Outlet):
    """Stands before an outlet, for those who print without a `Terminal`."""

    def write(self, text: str) -> int:
        super().write(visible(text, keep="\n"))
        return len(text)
