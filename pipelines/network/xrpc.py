"""Asking a service over XRPC: one pool of connections, one pace, retries, errors with types.

XRPC is HTTP and JSON (https://atproto.com/specs/xrpc). Bodies are handed to the caller's decoder as the bytes they
came as.
"""

from __future__ import annotations

import importlib.metadata
import math
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorBlocked,
    ActorNotFound,
    AuthenticationFailed,
    NetworkError,
    RateLimited,
    RecordNotFound,
    RequestRejected,
    ServiceFailed,
    ServiceUnreachable,
    one_line,
)
from pipelines.network.pacing import Pacer
from pipelines.network.paging import EMPTY_PAGES_IN_A_ROW, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence

    from pipelines.network.session import Session

T = TypeVar("T")
P = TypeVar("P", bound=Page)
Params: TypeAlias = "Mapping[str, str | int | Sequence[str] | None]"

LONGEST_RETRY_AFTER: Final = 900.0
"""Seconds. A service that asks for a longer wait is not waited for: the next run will do."""

LONGEST_BACKOFF: Final = 30.0
LARGEST_BODY: Final = 16 * 1024 * 1024

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
}
# The reference servers say these with the error `InvalidRequest`, so that only the message tells them apart.
_BY_MESSAGE: Final[dict[str, type[RequestRejected]]] = {
    "profile not found": ActorNotFound,
    "actor not found": ActorNotFound,
    "unable to resolve handle": ActorNotFound,
    "could not find repo": ActorNotFound,
    "starter pack not found": RecordNotFound,
    "list not found": RecordNotFound,
    "could not locate record": RecordNotFound,
}


def user_agent(contact: str | None = None) -> str:
    """Say who is asking, as services want to know it.

    Args:
        contact: How to reach whoever runs this: an address or a URL.

    Raises:
        ValueError: The contact cannot be sent in an HTTP header.
    """
    if contact and not (contact.isascii() and contact.isprintable()):
        raise ValueError(f"contact must be plain ASCII, as it is sent in a header: {contact!r}")
    try:
        project = importlib.metadata.metadata("bluesky-lake")
    except importlib.metadata.PackageNotFoundError:
        return f"bluesky-lake ({contact})" if contact else "bluesky-lake"
    urls = [url.rpartition(" ")[2] for url in project.get_all("Project-URL") or []]
    about = "; ".join([f"+{url}" for url in urls[:1]] + ([contact] if contact else []))
    return f"bluesky-lake/{project['Version']}" + (f" ({about})" if about else "")


def host_of(url: str) -> str:
    """Name a service in messages: its host and port, without what may stand before them (user and password)."""
    return urlsplit(url).netloc.rpartition("@")[2]


@dataclass(frozen=True)
class RequestStats:
    """What a client has done so far.

    Attributes:
        requests: Requests sent, each attempt counted.
        retries: Those of them that repeat a request that failed.
        rate_limited: Answers with status 429.
        seconds_waited: By all threads together: for their turn, and before repeating a request.
        bytes_received: Of bodies, as they came over the wire.
        requests_by_endpoint: `requests` by NSID.
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    seconds_waited: float = 0.0
    bytes_received: int = 0
    requests_by_endpoint: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: RequestStats) -> RequestStats:
        return RequestStats(
            self.requests + other.requests,
            self.retries + other.retries,
            self.rate_limited + other.rate_limited,
            self.seconds_waited + other.seconds_waited,
            self.bytes_received + other.bytes_received,
            Counter(self.requests_by_endpoint) + Counter(other.requests_by_endpoint),
        )


class _XrpcError(msgspec.Struct):
    error: str = ""
    message: str = ""


# Made here, not in the threads that ask: see lexicon.py.
_xrpc_error_body = msgspec.json.Decoder(_XrpcError)


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    endpoint: str
    subject: str
    headers: dict[str, str]
    body: bytes | None = None

    @property
    def service(self) -> str:
        return host_of(self.url)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    damage: str | None = None


class _AttemptFailed(Exception):  # noqa: N818
    """An attempt that failed in a way that another one may not."""

    def __init__(
        self, kind: type[NetworkError], what: str, *, retry_after: float | None = None, damaged_body: bytes = b""
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.retry_after = retry_after
        self.damaged_body = damaged_body

    def as_error(self, request: _Request, attempts: int) -> NetworkError:
        times = f" ({attempts} attempts)" if attempts > 1 else ""
        return self.kind(request.service, request.endpoint, request.subject, one_line(self.what, 250) + times)


class XrpcClient:
    """A client of one service. Safe to use from several threads.

    Args:
        service: Its URL, e.g. `https://public.api.bsky.app`.
        pacer: The pace, shared by all who ask this service.
        session: The account to ask as; None to ask without one. Then its own server is asked, which passes on what is
            for the AppView.
        max_connections: Requests under way at once.
        timeout: Seconds for one attempt, from connecting to the last byte.
        max_attempts: How often a request is sent before it counts as failed.
        user_agent: See `user_agent()`.
        backoff: Seconds: before retry n the wait is random, up to `backoff * 2 ** (n - 1)`.

    Raises:
        ValueError: The service is no http(s) URL.
    """

    def __init__(
        self,
        service: str,
        pacer: Pacer,
        *,
        session: Session | None = None,
        max_connections: int = 8,
        timeout: float = 30,
        max_attempts: int = 5,
        user_agent: str = user_agent(),
        backoff: float = 1.0,
    ) -> None:
        parts = urlsplit(service)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a service is an http(s) URL like https://public.api.bsky.app, not {service!r}")
        self._service = service.rstrip("/")
        self._pacer = pacer
        self._session = session
        self._max_connections = max_connections
        self._timeout = timeout
        self._max_attempts = max_attempts
        self._user_agent = user_agent
        self._backoff = backoff
        self._pool = urllib3.PoolManager(num_pools=4, maxsize=max_connections, retries=False)
        self._slots = threading.BoundedSemaphore(max_connections)
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_endpoint: Counter[str] = Counter()
        self._seconds_waited = 0.0

    @property
    def host(self) -> str:
        """Name of the service, for messages."""
        return host_of(self._service)

    @property
    def stats(self) -> RequestStats:
        """What was done so far."""
        with self._counting:
            return RequestStats(
                requests=self._counts["requests"],
                retries=self._counts["retries"],
                rate_limited=self._counts["rate_limited"],
                seconds_waited=self._seconds_waited,
                bytes_received=self._counts["bytes_received"],
                requests_by_endpoint=dict(self._by_endpoint),
            )

    def for_service(self, service: str) -> XrpcClient:
        """Make a client of another service with the same settings, a pace of its own and no session."""
        return XrpcClient(
            service,
            Pacer(self._pacer.requests_per_second),
            max_connections=self._max_connections,
            timeout=self._timeout,
            max_attempts=self._max_attempts,
            user_agent=self._user_agent,
            backoff=self._backoff,
        )

    def query(
        self,
        nsid: str,
        params: Params,
        decode: Callable[[bytes], T],
        *,
        subject: str = "",
        salvage: Callable[[bytes], T | None] | None = None,
    ) -> T:
        """Ask an XRPC query (GET).

        Args:
            nsid: Its name, e.g. `app.bsky.feed.getAuthorFeed`.
            params: Its parameters; those that are None are left out.
            decode: Reads the body. A `ValueError` or `RecursionError` means that the body is damaged: asked again.
            subject: Whom or what it is about, for messages.
            salvage: Reads what it can of a body that came damaged at every attempt; None if there is nothing.

        Raises:
            NetworkError: One of its subclasses.
        """
        given = {name: value for name, value in params.items() if value is not None}
        base = self._session.pds if self._session else self._service
        url = f"{base}/xrpc/{nsid}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        return self._ask(_Request("GET", url, nsid, subject, self._headers()), decode, salvage, self._session)

    def pages(
        self,
        nsid: str,
        params: Params,
        decode: Callable[[bytes], P],
        keys_of: Callable[[P], Collection[Hashable]],
        *,
        subject: str,
        salvage: Callable[[bytes], P | None] | None = None,
        must_end: bool = False,
    ) -> Iterator[P]:
        """Ask an XRPC query page by page.

        The end is where the cursor is absent or was there before, or where a page holds only what was seen. A page that
        is short or empty is not the end: services filter pages after cutting them
        (https://github.com/bluesky-social/atproto/issues/2616).

        Args:
            nsid: As for `query`.
            params: As for `query`, without the cursor.
            decode: As for `query`.
            keys_of: What names the items of a page.
            subject: As for `query`.
            salvage: As for `query`.
            must_end: Take only an absent cursor for the end; pages that repeat are a failure.

        Raises:
            ServiceFailed: After the last page that could be read, if there is more that cannot be asked for.
            NetworkError: One of its other subclasses.
        """
        cursor: str | None = None
        cursors: set[str] = set()
        seen: set[Hashable] = set()
        empty_pages = 0
        problem = ""
        while not problem:
            page = self.query(nsid, {**params, "cursor": cursor}, decode, subject=subject, salvage=salvage)
            keys = set(keys_of(page))
            is_repeated = bool(keys) and keys <= seen
            if not is_repeated:
                yield page
            seen |= keys
            empty_pages = 0 if keys else empty_pages + 1
            cursor = page.cursor
            if page.is_cursor_broken:
                problem = "a page is cut off, or has a cursor that is no text: what follows cannot be read"
            elif cursor is None:
                return
            elif is_repeated or cursor in cursors:
                if not must_end:
                    return
                problem = "its pages repeat"
            elif empty_pages == EMPTY_PAGES_IN_A_ROW:
                problem = f"{empty_pages} empty pages in a row, each with another cursor"
            else:
                cursors.add(cursor)
        raise ServiceFailed(self.host, nsid, subject, problem)

    def procedure(
        self,
        nsid: str,
        decode: Callable[[bytes], T],
        *,
        body: bytes | None = None,
        authorization: str | None = None,
        subject: str = "",
    ) -> T:
        """Call an XRPC procedure (POST).

        Args:
            nsid: Its name, e.g. `com.atproto.server.createSession`.
            decode: As for `query`.
            body: JSON, or None for a procedure without input.
            authorization: Value of the `Authorization` header.
            subject: As for `query`.

        Raises:
            NetworkError: One of its subclasses.
        """
        headers = self._headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        if authorization is not None:
            headers["Authorization"] = authorization
        return self._ask(_Request("POST", f"{self._service}/xrpc/{nsid}", nsid, subject, headers, body), decode)

    def document(self, path: str, decode: Callable[[bytes], T], *, endpoint: str, subject: str = "") -> T:
        """Fetch a JSON document that is not XRPC from the same service.

        Args:
            path: Its path, with the first slash.
            decode: As for `query`.
            endpoint: What it is, for messages and counts.
            subject: As for `query`.

        Raises:
            NetworkError: One of its subclasses.
        """
        return self._ask(_Request("GET", self._service + path, endpoint, subject, self._headers()), decode)

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._user_agent}

    def _ask(
        self,
        request: _Request,
        decode: Callable[[bytes], T],
        salvage: Callable[[bytes], T | None] | None = None,
        session: Session | None = None,
    ) -> T:
        attempt = 1
        is_renewed = False
        while True:
            token = session.access_token() if session else None
            if token is not None:
                request.headers["Authorization"] = f"Bearer {token}"
            try:
                return self._attempt(request, decode, is_retry=attempt > 1)
            except AuthenticationFailed:
                if session is None or token is None or is_renewed:
                    raise
                session.renew(token)
                is_renewed = True
                continue
            except _AttemptFailed as failed:
                if attempt == self._max_attempts:
                    rest = salvage(failed.damaged_body) if salvage and failed.damaged_body else None
                    if rest is not None:
                        return rest
                    raise failed.as_error(request, attempt) from None
                self._wait_before_retry(request, failed, attempt)
            attempt += 1

    def _attempt(self, request: _Request, decode: Callable[[bytes], T], *, is_retry: bool) -> T:
        try:
            answer = self._send(request, is_retry=is_retry)
        except HTTPError as error:
            raise _AttemptFailed(ServiceUnreachable, _describe(error, self._timeout)) from error
        if answer.status == HTTPStatus.OK:
            if answer.damage is not None:
                raise _AttemptFailed(ServiceFailed, answer.damage, damaged_body=answer.body)
            try:
                return decode(answer.body)
            except (ValueError, RecursionError) as error:
                what = f"the answer is not what the lexicon says: {error}"
                raise _AttemptFailed(ServiceFailed, what, damaged_body=answer.body) from error
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise _AttemptFailed(RateLimited, "429 Too Many Requests", retry_after=_retry_after(answer.headers))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _AttemptFailed(ServiceFailed, _status_line(answer), retry_after=_retry_after(answer.headers))
        raise _rejection(request, answer)

    def _send(self, request: _Request, *, is_retry: bool) -> _Answer:
        with self._slots:
            waited = self._pacer.acquire()
            with self._counting:
                self._counts["requests"] += 1
                self._counts["retries"] += is_retry
                self._by_endpoint[request.endpoint] += 1
                self._seconds_waited += waited
            deadline = time.monotonic() + self._timeout
            try:
                response = self._pool.request(
                    request.method,
                    request.url,
                    body=request.body,
                    headers=request.headers,
                    timeout=urllib3.Timeout(total=self._timeout),
                    redirect=False,
                    preload_content=False,
                )
            except BaseException:
                self._pacer.lost()
                raise
            self._pacer.observe(response.headers)
            body, damage = _read(response, deadline, self._timeout)
            with self._counting:
                self._counts["bytes_received"] += response.tell()
                self._counts["rate_limited"] += response.status == HTTPStatus.TOO_MANY_REQUESTS
            return _Answer(response.status, response.headers, body, damage)

    def _wait_before_retry(self, request: _Request, failed: _AttemptFailed, attempt: int) -> None:
        if failed.retry_after is not None:
            if failed.retry_after > LONGEST_RETRY_AFTER:
                failed.what += f", and asks to wait {math.ceil(failed.retry_after / 60)} minutes: run again after that"
                raise failed.as_error(request, attempt) from None
            self._pacer.penalize(failed.retry_after)
            return
        pause = random.uniform(0, min(LONGEST_BACKOFF, self._backoff * 2 ** (attempt - 1)))
        if failed.kind is RateLimited:
            self._pacer.pause(pause)
            return
        with self._counting:
            self._seconds_waited += pause
        time.sleep(pause)


def _read(response: urllib3.BaseHTTPResponse, deadline: float, timeout: float) -> tuple[bytes, str | None]:
    """Read a body: what came of it, and what is wrong with it. A server that trickles must not hold up a worker."""
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := response.read1(1 << 20):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_BODY:
                response.close()
                return b"", f"the answer is larger than {LARGEST_BODY >> 20} MiB"
            if time.monotonic() > deadline:
                response.close()
                return b"".join(chunks), f"the answer was not complete after {timeout:g} s"
    except HTTPError as error:
        response.close()
        what = f"stopped for {timeout:g} s" if isinstance(error, ReadTimeoutError) else "was cut off"
        return b"".join(chunks), f"the answer {what} after {size:,} bytes"
    response.release_conn()
    return b"".join(chunks), None


def _describe(error: HTTPError, timeout: float) -> str:
    match error:
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


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after: seconds, or a date)."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
            seconds = parsedate_to_datetime(value).timestamp() - now
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _status_line(answer: _Answer) -> str:
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = ""
    said = _xrpc_error(answer)
    return " ".join(part for part in (str(answer.status), reason, said.error, said.message) if part)


def _xrpc_error(answer: _Answer) -> _XrpcError:
    try:
        return _xrpc_error_body.decode(answer.body)
    except (ValueError, RecursionError):
        return _XrpcError()


def _rejection(request: _Request, answer: _Answer) -> RequestRejected:
    said = _xrpc_error(answer)
    message = said.message.casefold()
    kind: type[RequestRejected]
    if answer.status == HTTPStatus.UNAUTHORIZED or said.error in ("ExpiredToken", "InvalidToken"):
        # First: 401 `AccountTakedown` is about the account that asks, not about the actor it asks for.
        kind = AuthenticationFailed
    else:
        by_message = (kind for start, kind in _BY_MESSAGE.items() if message.startswith(start))
        kind = _BY_ERROR.get(said.error) or next(by_message, RequestRejected)
    if answer.status < HTTPStatus.BAD_REQUEST:
        what = f"{_status_line(answer)}: redirects to {answer.headers.get('Location', 'nowhere')}; ask there"
    elif answer.status == HTTPStatus.FORBIDDEN and not said.error:
        what = (
            "403 Forbidden by the service's own edge, not by its API:"
            " it refuses this network address or User-Agent; set a contact, or ask from elsewhere"
        )
    else:
        what = _status_line(answer)
    return kind(
        request.service,
        request.endpoint,
        request.subject,
        what,
        status=answer.status,
        error=said.error,
        message=one_line(said.message),
    )
