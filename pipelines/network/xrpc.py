"""A client of one service over XRPC: one pool of connections, one pace, retries and typed errors.

XRPC is HTTP and JSON (https://atproto.com/specs/xrpc). The client hands the bytes of a body to the caller's
decoder.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pipelines.network.answers import Answer, AttemptFailed, Request, describe, rejection, retry_after, status_line
from pipelines.network.connections import Connections, ProxyUnusable
from pipelines.network.errors import AuthenticationFailed, RateLimited, ServiceFailed, ServiceUnreachable
from pipelines.network.headers import host_of, user_agent
from pipelines.network.pacing import Pacer
from pipelines.network.paging import EMPTY_PAGES_IN_A_ROW, Page
from pipelines.network.service_clock import ServiceClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence

    from pipelines.network.errors import RequestRejected

T = TypeVar("T")
P = TypeVar("P", bound=Page)
Params: TypeAlias = "Mapping[str, str | int | Sequence[str] | None]"

LONGEST_RETRY_AFTER: Final = 900.0
"""Seconds. Where a service asks for a longer wait, the request fails; the next run asks again."""

LONGEST_BACKOFF: Final = 30.0
LARGEST_BODY: Final = 16 * 1024 * 1024
LONGEST_STREAM: Final = 3600.0
"""Seconds for a streamed answer, from its first byte to its last."""


@dataclass(frozen=True)
class RequestStats:
    """What a client has done so far.

    Attributes:
        requests: Requests sent, each attempt counted.
        retries: Those of them that repeat a failed request.
        rate_limited: Answers with status 429.
        seconds_waited: Seconds that all threads together waited for their turn and before retries.
        bytes_received: Bytes of bodies, as they came over the wire.
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


class AccountSession(Protocol):
    """The account that a client asks as; `session.py` implements it.

    Every member raises a `NetworkError` when the account cannot be logged in.
    """

    @property
    def pds(self) -> str:
        """URL of the account's own server, which takes all its requests."""

    def access_token(self) -> str:
        """Give a token for the `Authorization` header."""

    def renew(self, refused: str) -> None:
        """Replace a token that a service has refused."""


class XrpcClient:
    """A client of one service. Safe to use from several threads.

    Args:
        service: Its URL, e.g. `https://public.api.bsky.app`.
        pacer: The pace, which all clients of this service share.
        session: The account to ask as; None to ask without one. The account's own server takes its requests and passes
            on those for the AppView.
        max_connections: Requests under way at once.
        timeout: Seconds for one attempt, from connecting to the last byte.
        max_attempts: How often a request is sent before it counts as failed.
        user_agent: See `user_agent()`.
        backoff: Seconds: before retry n the wait is random, up to `backoff * 2 ** (n - 1)`.

    Attributes:
        clock: Tells the time, by the service's clock where this machine's is wrong.

    Raises:
        ValueError: `service` is something other than an http(s) URL.
    """

    def __init__(
        self,
        service: str,
        pacer: Pacer,
        *,
        session: AccountSession | None = None,
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
        self._connections = Connections(max_connections)
        self._slots = threading.BoundedSemaphore(max_connections)
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_endpoint: Counter[str] = Counter()
        self._seconds_waited = 0.0
        self.clock = ServiceClock()

    @property
    def host(self) -> str:
        """Name of the service, for messages."""
        return host_of(self._service)

    @property
    def requests_per_second(self) -> float:
        """The pace that is never exceeded."""
        return self._pacer.requests_per_second

    @property
    def stats(self) -> RequestStats:
        """What the client has done so far."""
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
            decode: Reads the body. Its `ValueError` or `RecursionError` means a damaged body: the client asks again.
            subject: The actor or record that the query is about, for messages.
            salvage: Reads the readable part of a body that came damaged at every attempt; None if there is none.

        Raises:
            NetworkError: One of its subclasses.
        """
        base = self._session.pds if self._session else self._service
        request = Request("GET", _query_url(base, nsid, params), nsid, subject, self._headers())
        return self._ask(request, decode, salvage, self._session)

    def stream(self, nsid: str, params: Params, *, accept: str, subject: str = "") -> Generator[bytes]:
        """Ask an XRPC query whose answer may be too large for memory, without a session.

        A request that fails before the first byte of its answer is sent again; an answer that breaks off is not.

        Args:
            nsid: As for `query`.
            params: As for `query`.
            accept: Type of the answer's content.
            subject: As for `query`.

        Yields:
            The body, in the pieces that arrive.

        Raises:
            NetworkError: One of its subclasses.
        """
        headers = self._headers() | {"Accept": accept}
        request = Request("GET", _query_url(self._service, nsid, params), nsid, subject, headers)
        attempt = 1
        while True:
            size = 0
            try:
                with self._sent(request, is_retry=attempt > 1) as (response, deadline):
                    if response.status != HTTPStatus.OK:
                        body, _ = _read(response, deadline, self._timeout)
                        raise _refusal(request, Answer(response.status, response.headers, body))
                    for chunk in _chunks(response, self._timeout):
                        size += len(chunk)
                        yield chunk
                    return
            except HTTPError as error:
                failed = AttemptFailed(ServiceUnreachable, describe(error, self._timeout))
            except AttemptFailed as error:
                failed = error
            if size or attempt == self._max_attempts:
                raise failed.as_error(request, attempt)
            self._wait_before_retry(request, failed, attempt)
            attempt += 1

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

        The last page is the one whose cursor is absent or repeats an earlier one, or that holds only items of earlier
        pages. A short or empty page may have a next one: services filter pages after they cut them
        (https://github.com/bluesky-social/atproto/issues/2616).

        Args:
            nsid: As for `query`.
            params: As for `query`, without the cursor.
            decode: As for `query`.
            keys_of: Gives the keys of a page's items.
            subject: As for `query`.
            salvage: As for `query`.
            must_end: Take only an absent cursor for the end, and pages that repeat for a failure.

        Raises:
            ServiceFailed: After the last readable page, if the next one cannot be asked for.
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
        return self._ask(Request("POST", f"{self._service}/xrpc/{nsid}", nsid, subject, headers, body), decode)

    def document(self, path: str, decode: Callable[[bytes], T], *, endpoint: str, subject: str = "") -> T:
        """Fetch a plain JSON document, outside XRPC, from the same service.

        Args:
            path: Its path, with the first slash.
            decode: As for `query`.
            endpoint: What the document is, for messages and counts.
            subject: As for `query`.

        Raises:
            NetworkError: One of its subclasses.
        """
        return self._ask(Request("GET", self._service + path, endpoint, subject, self._headers()), decode)

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._user_agent}

    def _ask(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        salvage: Callable[[bytes], T | None] | None = None,
        session: AccountSession | None = None,
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
            except AttemptFailed as failed:
                if attempt == self._max_attempts:
                    rest = salvage(failed.damaged_body) if salvage and failed.damaged_body else None
                    if rest is not None:
                        return rest
                    raise failed.as_error(request, attempt) from None
                self._wait_before_retry(request, failed, attempt)
            attempt += 1

    def _attempt(self, request: Request, decode: Callable[[bytes], T], *, is_retry: bool) -> T:
        try:
            answer = self._send(request, is_retry=is_retry)
        except ProxyUnusable as error:
            raise ServiceUnreachable(request.service, request.endpoint, request.subject, str(error)) from error
        except HTTPError as error:
            raise AttemptFailed(ServiceUnreachable, describe(error, self._timeout)) from error
        if answer.status == HTTPStatus.OK:
            if answer.damage is not None:
                raise AttemptFailed(ServiceFailed, answer.damage, damaged_body=answer.body)
            try:
                return decode(answer.body)
            except (ValueError, RecursionError) as error:
                what = f"the answer is not what the lexicon says: {error}"
                raise AttemptFailed(ServiceFailed, what, damaged_body=answer.body) from error
        raise _refusal(request, answer)

    def _send(self, request: Request, *, is_retry: bool) -> Answer:
        with self._sent(request, is_retry=is_retry) as (response, deadline):
            body, damage = _read(response, deadline, self._timeout)
            return Answer(response.status, response.headers, body, damage)

    @contextmanager
    def _sent(self, request: Request, *, is_retry: bool) -> Iterator[tuple[urllib3.BaseHTTPResponse, float]]:
        """Send a request, which is one of those under way until its answer has been read.

        Yields:
            The answer, and by when it has to be read if it is a short one.
        """
        with self._slots:
            waited = self._pacer.acquire()
            with self._counting:
                self._counts["requests"] += 1
                self._counts["retries"] += is_retry
                self._by_endpoint[request.endpoint] += 1
                self._seconds_waited += waited
            deadline = time.monotonic() + self._timeout
            try:
                response = self._connections.request(
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
            self.clock.hear(response.headers)
            self._pacer.observe(response.headers)
            try:
                yield response, deadline
            finally:
                with self._counting:
                    self._counts["bytes_received"] += response.tell()
                    self._counts["rate_limited"] += response.status == HTTPStatus.TOO_MANY_REQUESTS

    def _wait_before_retry(self, request: Request, failed: AttemptFailed, attempt: int) -> None:
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


def _query_url(base: str, nsid: str, params: Params) -> str:
    given = {name: value for name, value in params.items() if value is not None}
    return f"{base}/xrpc/{nsid}" + (f"?{urlencode(given, doseq=True)}" if given else "")


def _refusal(request: Request, answer: Answer) -> AttemptFailed | RequestRejected:
    """Turn an answer that is not OK into an error, which says whether another attempt may help."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return AttemptFailed(RateLimited, "429 Too Many Requests", retry_after=retry_after(answer.headers))
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status != HTTPStatus.NOT_IMPLEMENTED:
        return AttemptFailed(ServiceFailed, status_line(answer), retry_after=retry_after(answer.headers))
    return rejection(request, answer)


def _chunks(response: urllib3.BaseHTTPResponse, timeout: float) -> Iterator[bytes]:
    """Read a body piece by piece.

    Raises:
        AttemptFailed: It is not complete. A server that sends a little now and then has `LONGEST_STREAM` for it.
    """
    deadline = time.monotonic() + LONGEST_STREAM
    size = 0
    try:
        while chunk := response.read1(1 << 20):
            size += len(chunk)
            yield chunk
            if time.monotonic() > deadline:
                raise AttemptFailed(ServiceFailed, f"the answer was not complete after {LONGEST_STREAM:g} s")
    except HTTPError as error:
        what = f"stopped for {timeout:g} s" if isinstance(error, ReadTimeoutError) else "was cut off"
        raise AttemptFailed(ServiceFailed, f"the answer {what} after {size:,} bytes") from error
    finally:
        response.close()


def _read(response: urllib3.BaseHTTPResponse, deadline: float, timeout: float) -> tuple[bytes, str | None]:
    """Read a body up to a deadline, as a server that trickles would hold up a worker; tell what is wrong with it."""
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
