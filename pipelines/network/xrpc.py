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

from urllib3.exceptions import HTTPError, ReadTimeoutError

from pipelines.network.answers import Answer, AttemptFailed, Request, describe, rejection, retry_after, status_line
from pipelines.network.budgets import UNLIMITED, Budget, Spending
from pipelines.network.connections import Connections, ProxyUnusable
from pipelines.network.errors import AuthenticationFailed, BudgetSpent, RateLimited, ServiceFailed, ServiceUnreachable
from pipelines.network.exchange import AddressRefused, Exchange
from pipelines.network.headers import host_of, user_agent
from pipelines.network.json_shape import TooDeep, TooManyValues, expect_sane
from pipelines.network.pacing import NotDue, Pacer
from pipelines.network.paging import EMPTY_PAGES_IN_A_ROW, Page
from pipelines.network.service_clock import ServiceClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Mapping, Sequence

    import urllib3

    from pipelines.network.errors import RequestRejected

T = TypeVar("T")
P = TypeVar("P", bound=Page)
Params: TypeAlias = "Mapping[str, str | int | Sequence[str] | None]"

LONGEST_RETRY_AFTER: Final = 900.0
"""Seconds. Where a service asks for a longer wait, the request fails; the next run asks again."""

LONGEST_BACKOFF: Final = 30.0
LARGEST_HEAD: Final = 256 * 1024
"""Bytes of an answer up to the end of its header; real ones have two thousand."""

LARGEST_BODY: Final = 16 * 1024 * 1024
LARGEST_STREAM: Final = 4 * 1024**3
"""Bytes of a streamed answer: twice the largest repository that is read (`repo_proof.MAX_CAR_BYTES`)."""

SLOWEST_STREAM: Final = 64 * 1024
"""Bytes a second that a streamed answer brings on average. At this pace a repository of 100 MB takes half an hour; real
servers send fifty times as much."""

STREAM_STARTS: Final = 120.0
"""Seconds before the average counts: a server may gather a repository before it sends the larger part."""


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
        refuses: Tells of an IP address whether it must not be asked; None to ask at any. For services that a stranger
            has named.

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
        refuses: Callable[[str], bool] | None = None,
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
        self._refuses = refuses
        self._connections = Connections(max_connections)
        self._slots = threading.BoundedSemaphore(max_connections)
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._by_endpoint: Counter[str] = Counter()
        self._seconds_waited = 0.0
        self.clock = ServiceClock()

    @property
    def service(self) -> str:
        """URL of the service."""
        return self._service

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

    def for_service(self, service: str, *, refuses: Callable[[str], bool] | None = None) -> XrpcClient:
        """Make a client of another service with the same settings, a pace of its own and no session.

        Args:
            service: Its URL.
            refuses: As of the class.
        """
        return XrpcClient(
            service,
            Pacer(self._pacer.requests_per_second),
            max_connections=self._max_connections,
            timeout=self._timeout,
            max_attempts=self._max_attempts,
            user_agent=self._user_agent,
            backoff=self._backoff,
            refuses=refuses,
        )

    def query(
        self,
        nsid: str,
        params: Params,
        decode: Callable[[bytes], T],
        *,
        subject: str = "",
        salvage: Callable[[bytes], T | None] | None = None,
        budget: Budget = UNLIMITED,
    ) -> T:
        """Ask an XRPC query (GET).

        Args:
            nsid: Its name, e.g. `app.bsky.feed.getAuthorFeed`.
            params: Its parameters; those that are None are left out.
            decode: Reads the body. Its `ValueError` or `RecursionError` means a damaged body: the client asks again.
            subject: The actor or record that the query is about, for messages.
            salvage: Reads the readable part of a body that came damaged at every attempt; None if there is none.
            budget: What the conversation that the query is part of may still cost.

        Raises:
            NetworkError: One of its subclasses.
        """
        base = self._session.pds if self._session else self._service
        request = Request("GET", _query_url(base, nsid, params), nsid, subject, self._headers())
        return self._ask(request, decode, salvage, self._session, budget)

    def stream(
        self, nsid: str, params: Params, *, accept: str, subject: str = "", budget: Budget = UNLIMITED
    ) -> Generator[bytes]:
        """Ask an XRPC query whose answer may be too large for memory, without a session.

        A request that fails before the first byte of its answer is sent again; an answer that breaks off is not.

        Args:
            nsid: As for `query`.
            params: As for `query`.
            accept: Type of the answer's content.
            subject: As for `query`.
            budget: As for `query`, but for bytes: the body has a bound of its own.

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
            with budget.spending() as spending:
                try:
                    with self._sent(request, spending, is_retry=attempt > 1) as (response, exchange):
                        if response.status != HTTPStatus.OK:
                            exchange.take_body(LARGEST_BODY)
                            body, _ = _read(response, exchange, self._timeout)
                            raise _refusal(request, Answer(response.status, response.headers, body))
                        exchange.take_body(LARGEST_STREAM, pause=self._timeout)
                        for chunk in _chunks(request, response, exchange, spending, self._timeout):
                            size += len(chunk)
                            yield chunk
                        return
                except ProxyUnusable as error:
                    raise ServiceUnreachable(request.service, request.endpoint, request.subject, str(error)) from error
                except AddressRefused as error:
                    raise self._address_refused(request, error) from error
                except HTTPError as error:
                    failed = AttemptFailed(ServiceUnreachable, describe(error, self._timeout))
                except AttemptFailed as error:
                    failed = error
                if size or attempt == self._max_attempts:
                    raise failed.as_error(request, attempt)
                self._wait_before_retry(request, failed, attempt, spending)
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
        budget: Budget = UNLIMITED,
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
            budget: What all pages together, or more than these, may cost.

        Raises:
            ServiceFailed: After the last readable page, if the next one cannot be asked for.
            NetworkError: One of its other subclasses.
        """
        cursor: str | None = None
        cursors: set[int] = set()
        seen: set[int] = set()
        empty_pages = 0
        problem = ""
        while not problem:
            given = {**params, "cursor": cursor}
            page = self.query(nsid, given, decode, subject=subject, salvage=salvage, budget=budget)
            keys = set(map(hash, keys_of(page)))  # What a stranger calls a key may be long.
            is_repeated = bool(keys) and keys <= seen
            if not is_repeated:
                yield page
            seen |= keys
            empty_pages = 0 if keys else empty_pages + 1
            cursor = page.cursor
            if page.is_cursor_broken:
                problem = "a page is cut off, or has a cursor that cannot be sent: what follows cannot be read"
            elif cursor is None:
                return
            elif is_repeated or hash(cursor) in cursors:
                if not must_end:
                    return
                problem = "its pages repeat"
            elif empty_pages == EMPTY_PAGES_IN_A_ROW:
                problem = f"{empty_pages} empty pages in a row, each with another cursor"
            else:
                cursors.add(hash(cursor))
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

    def document(
        self,
        path: str,
        decode: Callable[[bytes], T],
        *,
        endpoint: str,
        subject: str = "",
        budget: Budget = UNLIMITED,
    ) -> T:
        """Fetch a plain JSON document, outside XRPC, from the same service.

        Args:
            path: Its path, with the first slash.
            decode: As for `query`.
            endpoint: What the document is, for messages and counts.
            subject: As for `query`.
            budget: As for `query`.

        Raises:
            NetworkError: One of its subclasses.
        """
        request = Request("GET", self._service + path, endpoint, subject, self._headers())
        return self._ask(request, decode, budget=budget)

    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": self._user_agent}

    def _ask(
        self,
        request: Request,
        decode: Callable[[bytes], T],
        salvage: Callable[[bytes], T | None] | None = None,
        session: AccountSession | None = None,
        budget: Budget = UNLIMITED,
    ) -> T:
        with budget.spending() as spending:
            return self._ask_within(spending, request, decode, salvage, session)

    def _ask_within(
        self,
        spending: Spending,
        request: Request,
        decode: Callable[[bytes], T],
        salvage: Callable[[bytes], T | None] | None,
        session: AccountSession | None,
    ) -> T:
        attempt = 1
        is_renewed = False
        while True:
            token = session.access_token() if session else None
            if token is not None:
                request.headers["Authorization"] = f"Bearer {token}"
            try:
                return self._attempt(request, decode, spending, is_retry=attempt > 1)
            except AuthenticationFailed:
                if session is None or token is None or is_renewed:
                    raise
                session.renew(token)
                is_renewed = True
                continue
            except AttemptFailed as failed:
                is_last = attempt == self._max_attempts
                if is_last or failed.is_lasting:
                    rest = salvage(failed.damaged_body) if salvage and failed.damaged_body else None
                    if rest is not None:
                        return rest
                if is_last:
                    raise failed.as_error(request, attempt) from None
                self._wait_before_retry(request, failed, attempt, spending)
            attempt += 1

    def _attempt(self, request: Request, decode: Callable[[bytes], T], spending: Spending, *, is_retry: bool) -> T:
        try:
            answer = self._send(request, spending, is_retry=is_retry)
        except ProxyUnusable as error:
            raise ServiceUnreachable(request.service, request.endpoint, request.subject, str(error)) from error
        except AddressRefused as error:
            raise self._address_refused(request, error) from error
        except HTTPError as error:
            raise AttemptFailed(ServiceUnreachable, describe(error, self._timeout)) from error
        if answer.status == HTTPStatus.OK:
            if answer.damage is not None:
                raise AttemptFailed(ServiceFailed, answer.damage, damaged_body=answer.body)
            try:
                expect_sane(answer.body)
                return decode(answer.body)
            except TooManyValues as error:
                raise AttemptFailed(ServiceFailed, f"the answer cannot be taken: {error}") from error
            except TooDeep as error:
                what = f"the answer cannot be taken whole: {error}"
                raise AttemptFailed(ServiceFailed, what, damaged_body=answer.body, is_lasting=True) from error
            except (ValueError, RecursionError) as error:
                what = f"the answer is not what the lexicon says: {error}"
                raise AttemptFailed(ServiceFailed, what, damaged_body=answer.body) from error
        raise _refusal(request, answer)

    @staticmethod
    def _address_refused(request: Request, error: AddressRefused) -> ServiceUnreachable:
        return ServiceUnreachable(request.service, request.endpoint, request.subject, f"it is not asked: {error}")

    def _send(self, request: Request, spending: Spending, *, is_retry: bool) -> Answer:
        with self._sent(request, spending, is_retry=is_retry) as (response, exchange):
            exchange.take_body(LARGEST_BODY)
            body, damage = _read(response, exchange, self._timeout)
            return Answer(response.status, response.headers, body, damage)

    @contextmanager
    def _sent(
        self, request: Request, spending: Spending, *, is_retry: bool
    ) -> Iterator[tuple[urllib3.BaseHTTPResponse, Exchange]]:
        """Send a request, which is one of those under way until its answer has been read.

        Yields:
            The answer, and what is left for its body.

        Raises:
            BudgetSpent: Nothing is left for the request.
        """
        with self._slot(request, spending):
            shortage = spending.shortage()
            if shortage:
                raise _spent(request, shortage)
            try:
                wait = self._pacer.acquire(spending.seconds_left)
            except NotDue:
                raise _spent(request, "its rate limit asks for a longer wait than is left") from None
            spending.leave_out(wait.seconds - wait.by_service)
            spending.budget.spend(requests=1)
            with self._counting:
                self._counts["requests"] += 1
                self._counts["retries"] += is_retry
                self._by_endpoint[request.endpoint] += 1
                self._seconds_waited += wait.seconds
            exchange = Exchange(min(self._timeout, spending.seconds_left), LARGEST_HEAD, self._refuses)
            try:
                response = self._connections.request(
                    request.method,
                    request.url,
                    exchange,
                    body=request.body,
                    headers=request.headers,
                    redirect=False,
                    preload_content=False,
                )
            except BaseException:
                self._pacer.lost()
                raise
            self.clock.hear(response.headers)
            self._pacer.observe(response.headers)
            try:
                yield response, exchange
            finally:
                spending.budget.spend(size=response.tell())
                with self._counting:
                    self._counts["bytes_received"] += response.tell()
                    self._counts["rate_limited"] += response.status == HTTPStatus.TOO_MANY_REQUESTS

    @contextmanager
    def _slot(self, request: Request, spending: Spending) -> Iterator[None]:
        seconds = spending.seconds_left
        if not self._slots.acquire(timeout=None if math.isinf(seconds) else max(0.0, seconds)):
            raise _spent(request, "no request could be sent in the time that was left")
        try:
            yield
        finally:
            self._slots.release()

    def _wait_before_retry(self, request: Request, failed: AttemptFailed, attempt: int, spending: Spending) -> None:
        if failed.retry_after is not None:
            if failed.retry_after > min(LONGEST_RETRY_AFTER, spending.seconds_left):
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


def _spent(request: Request, what: str) -> BudgetSpent:
    return BudgetSpent(request.service, request.endpoint, request.subject, f"given up: {what}")


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


def _chunks(
    request: Request, response: urllib3.BaseHTTPResponse, exchange: Exchange, spending: Spending, timeout: float
) -> Iterator[bytes]:
    """Read a body piece by piece. The time that whoever takes them needs for them is not the server's.

    Raises:
        AttemptFailed: It is not complete, or comes slower than `SLOWEST_STREAM`.
        BudgetSpent: It takes longer than there is time.
    """
    before, size = spending.seconds, 0
    try:
        exchange.take_time(spending.seconds_left)
        while chunk := response.read1(1 << 20):
            reading = spending.seconds - before
            size += len(chunk)
            if reading > STREAM_STARTS and size < reading * SLOWEST_STREAM:
                raise AttemptFailed(ServiceFailed, f"the answer had only {size:,} bytes after {reading:,.0f} s")
            given_at = time.monotonic()
            yield chunk
            spending.leave_out(time.monotonic() - given_at)
            exchange.take_time(spending.seconds_left)
    except HTTPError as error:
        shortage = spending.shortage()
        if shortage:
            raise _spent(request, f"after {size:,} bytes, {shortage}") from error
        what = f"stopped for {timeout:g} s" if isinstance(error, ReadTimeoutError) else "was cut off"
        raise AttemptFailed(ServiceFailed, f"the answer {what} after {size:,} bytes") from error
    finally:
        response.close()


def _read(response: urllib3.BaseHTTPResponse, exchange: Exchange, timeout: float) -> tuple[bytes, str | None]:
    """Read a body within its bounds, as a server that trickles would hold up a worker; tell what is wrong with it."""
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := response.read1(1 << 20):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_BODY:
                response.close()
                return b"", f"the answer is larger than {LARGEST_BODY >> 20} MiB"
            if exchange.seconds_left < 0:
                response.close()
                return b"".join(chunks), f"the answer was not complete after {timeout:g} s"
    except HTTPError as error:
        response.close()
        if exchange.is_too_large:
            return b"", f"the answer is larger than {LARGEST_BODY >> 20} MiB"
        if isinstance(error, ReadTimeoutError):
            return b"".join(chunks), f"the answer was not complete after {timeout:g} s: it had {size:,} bytes"
        return b"".join(chunks), f"the answer was cut off after {size:,} bytes"
    response.release_conn()
    return b"".join(chunks), None
