"""Turns an answer, or the lack of one, into an error, and tells whether a retry may help."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorBlocked,
    ActorNotFound,
    AuthenticationFailed,
    MethodNotSupported,
    NetworkError,
    RecordNotFound,
    RequestRejected,
    one_line,
)
from pipelines.network.headers import date_of, host_of, read_date

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_ERROR: Final[dict[str, type[RequestRejected]]] = {
    "AccountDeactivated": AccountDeactivated,
    "RepoDeactivated": AccountDeactivated,
    "AccountTakedown": AccountSuspended,
    "AccountSuspended": AccountSuspended,
    "RepoTakendown": AccountSuspended,
    "RepoSuspended": AccountSuspended,
    "RepoNotFound": ActorNotFound,
    "HandleNotFound": ActorNotFound,
    "BlockedActor": ActorBlocked,
    "BlockedByActor": ActorBlocked,
    "RecordNotFound": RecordNotFound,
    "MethodNotImplemented": MethodNotSupported,
    "XRPCNotSupported": MethodNotSupported,
}
LONGEST_WAIT_ASKED: Final = 366 * 86_400.0
"""Seconds. A `Retry-After` of more than a year tells nothing, and is passed over."""

_NO_SUCH_METHOD: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# The reference servers send these with the error `InvalidRequest`, so that only the message tells them apart.
_BY_MESSAGE: Final[dict[str, type[RequestRejected]]] = {
    "profile not found": ActorNotFound,
    "actor not found": ActorNotFound,
    "unable to resolve handle": ActorNotFound,
    "could not find repo": ActorNotFound,
    "starter pack not found": RecordNotFound,
    "list not found": RecordNotFound,
    "could not locate record": RecordNotFound,
}


class _XrpcError(msgspec.Struct):
    error: str = ""
    message: str = ""


# Made at import, before there are threads: see `_decoder` in lexicon.py.
_xrpc_error_body = msgspec.json.Decoder(_XrpcError)


@dataclass(frozen=True)
class Request:
    """A request, and its names in messages.

    Attributes:
        method: HTTP method.
        url: Where it goes, with its parameters.
        endpoint: NSID of the XRPC method, or what is asked for where there is none.
        subject: The actor, record or page it is about; empty where there is none.
        headers: Its HTTP headers.
        body: Its body; None if it has none.
    """

    method: str
    url: str
    endpoint: str
    subject: str
    headers: dict[str, str]
    body: bytes | None = None

    @property
    def service(self) -> str:
        """Host that is asked."""
        return host_of(self.url)


@dataclass(frozen=True)
class Answer:
    """An answer, as it came.

    Attributes:
        status: HTTP status.
        headers: Its HTTP headers.
        body: Its body, as far as it came.
        damage: What is wrong with the body; None if it is whole.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    damage: str | None = None


class AttemptFailed(Exception):  # noqa: N818
    """An attempt that failed, where another one may succeed.

    Attributes:
        kind: The error that the caller sees if every attempt fails.
        what: What happened.
        retry_after: Seconds that the service asks to wait; None if it names none.
        damaged_body: The part that came of a body that cannot be read.
        is_lasting: Whether the body came whole, and another attempt would bring the like.
    """

    def __init__(
        self,
        kind: type[NetworkError],
        what: str,
        *,
        retry_after: float | None = None,
        damaged_body: bytes = b"",
        is_lasting: bool = False,
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.retry_after = retry_after
        self.damaged_body = damaged_body
        self.is_lasting = is_lasting

    def as_error(self, request: Request, attempts: int) -> NetworkError:
        """Turn it into the error that the caller sees, after so many attempts."""
        times = f" ({attempts} attempts)" if attempts > 1 else ""
        return self.kind(request.service, request.endpoint, request.subject, one_line(self.what, 250) + times)


def describe(error: HTTPError, timeout: float) -> str:
    """Say why there was no answer."""
    match error:
        case ProxyError():
            return f"no way through the proxy that HTTP_PROXY or HTTPS_PROXY names: {error.original_error}"
        case NameResolutionError():
            return "the name of the service cannot be resolved; is there an internet connection?"
        case NewConnectionError():  # before the timeouts, of which urllib3 makes it one
            return f"no connection: {str(error).rpartition(': ')[2]}"
        case ConnectTimeoutError() | ReadTimeoutError():
            return f"no answer within {timeout:g} s"
        case SSLError():
            return f"no secure connection: {error}"
        case _:
            return f"the connection was closed without an answer ({error})"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after: seconds, or a date)."""
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        until, date = read_date(value), date_of(headers)
        if until is None:
            return None
        seconds = until.timestamp() - (time.time() if date is None else date.timestamp())
    return max(0.0, seconds) if seconds <= LONGEST_WAIT_ASKED else None


def status_line(answer: Answer) -> str:
    """Say what a service answered: status, name of the error, message."""
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = ""
    said = _xrpc_error(answer)
    return " ".join(part for part in (str(answer.status), reason, said.error, said.message) if part)


def _xrpc_error(answer: Answer) -> _XrpcError:
    try:
        return _xrpc_error_body.decode(answer.body)
    except (ValueError, RecursionError):
        return _XrpcError()


def rejection(request: Request, answer: Answer) -> RequestRejected:
    """Turn an answer that a retry would not change into an error."""
    said = _xrpc_error(answer)
    message = said.message.casefold()
    kind: type[RequestRejected]
    if answer.status == HTTPStatus.UNAUTHORIZED or said.error in ("ExpiredToken", "InvalidToken"):
        # First: 401 `AccountTakedown` is about the account that asks, not about the actor it asks for.
        kind = AuthenticationFailed
    else:
        by_message = (kind for start, kind in _BY_MESSAGE.items() if message.startswith(start))
        kind = _BY_ERROR.get(said.error) or next(by_message, RequestRejected)
        # A server without the protocol's words: that of a PDS names every other error.
        if kind is RequestRejected and not said.error and answer.status in _NO_SUCH_METHOD:
            kind = MethodNotSupported
    if answer.status < HTTPStatus.BAD_REQUEST:
        what = f"{status_line(answer)}: redirects to {answer.headers.get('Location', 'nowhere')}; ask there"
    elif answer.status == HTTPStatus.FORBIDDEN and not said.error:
        what = (
            "403 Forbidden by the service's own edge, not by its API:"
            " it refuses this network address or User-Agent; set a contact, or ask from elsewhere"
        )
    else:
        what = status_line(answer)
    return kind(
        request.service,
        request.endpoint,
        request.subject,
        what,
        status=answer.status,
        error=said.error,
        message=one_line(said.message),
    )
