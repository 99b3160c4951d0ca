"""Errors of the network. Each message is one line that a person can act on."""
# ruff: noqa: N818 (the names say what happened; all of them are a NetworkError)

from __future__ import annotations

from http import HTTPStatus


class NetworkError(Exception):
    """A request that got no usable answer. The message names the service, the endpoint and the actor or record.

    Attributes:
        service: Host that was asked.
        endpoint: NSID of the XRPC method, or what was asked for where there is none.
        subject: The actor, record or page it was about; empty where there is none.
    """

    def __init__(self, service: str, endpoint: str, subject: str, what: str) -> None:
        self.service = service
        self.endpoint = endpoint
        self.subject = subject
        about = f" for {subject}" if subject else ""
        super().__init__(f"{service}: {endpoint}{about}: {one_line(what)}")


class ServiceUnreachable(NetworkError):
    """The service could not be reached (name, connection, TLS), or did not answer in time, at every attempt."""


class ServiceFailed(NetworkError):
    """The service answered every attempt with a server error, or with a body that cannot be read."""


class BudgetSpent(ServiceFailed):
    """A conversation takes more requests, bytes or seconds than a run spends on it; see `budgets.py`."""


class RateLimited(NetworkError):
    """The service answered 429 at every attempt, or asks for a longer wait than a run should make."""


class RequestRejected(NetworkError):
    """The service refused the request (any other 4xx, or a redirect); asking again would not help.

    Attributes:
        status: HTTP status.
        error: Name of the XRPC error, e.g. `InvalidRequest`; empty where the body names none.
        message: The service's own words.
    """

    def __init__(
        self, service: str, endpoint: str, subject: str, what: str, *, status: int, error: str, message: str
    ) -> None:
        super().__init__(service, endpoint, subject, what)
        self.status = status
        self.error = error
        self.message = message


class AccountDeactivated(RequestRejected):
    """The account's owner has deactivated it."""


class AccountSuspended(RequestRejected):
    """The account is suspended or taken down."""


class ActorNotFound(RequestRejected):
    """The service knows no such account or handle. `getAuthorFeed` says the same of unavailable accounts."""


class ActorBlocked(RequestRejected):
    """A block stands between the logged-in account and the actor."""


class RecordNotFound(RequestRejected):
    """The service knows no such starter pack, list or other record."""


class MethodNotSupported(RequestRejected):
    """The service does not have this method."""


class AuthenticationFailed(RequestRejected):
    """The service rejects the password or the session."""


def is_refused(error: NetworkError) -> bool:
    """Tell whether the service understood the question and refuses it, most likely for the sake of its subject."""
    return (
        isinstance(error, RequestRejected)
        and not isinstance(error, AuthenticationFailed)
        and error.status == HTTPStatus.BAD_REQUEST
    )


def one_line(text: str, limit: int = 300) -> str:
    """Bring text from a server into one line of bounded length, without control characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
