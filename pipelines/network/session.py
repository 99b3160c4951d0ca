"""The session of an account: log-in with an app password, for users who want to ask as their account.

The module makes two XRPC calls itself (`com.atproto.server.createSession`, `refreshSession`), in place of the SDK's
client, so that tokens are saved before they are used, and threads and processes share one refresh.
"""

from __future__ import annotations

import base64
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import filelock
import msgspec

from pipelines.network.did_documents import pds_endpoint_of
from pipelines.network.errors import AuthenticationFailed, NetworkError, RequestRejected
from pipelines.network.headers import host_of, user_agent
from pipelines.network.pacing import Pacer
from pipelines.network.xrpc import XrpcClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT_SERVICE: Final = "https://bsky.social"
REFRESH_BEFORE: Final = 300.0
"""Seconds before its end at which the session replaces an access token."""

LOCK_TIMEOUT: Final = 60.0
"""Seconds that a process waits for another one that holds the session file."""


class SessionCacheError(NetworkError):
    """The file that keeps the session cannot be used."""


class _Tokens(msgspec.Struct, rename="camel", frozen=True):
    """A session as it is cached.

    Attributes:
        identifier: What the user logs in with. If it or `service` differs, the file is that of another account.
        service: Where the user logs in.
    """

    identifier: str
    service: str
    did: str
    handle: str
    pds: str
    access_jwt: str
    refresh_jwt: str

    def __repr__(self) -> str:
        return f"<session of {self.handle}>"


class _SessionBody(msgspec.Struct, rename="camel"):
    did: str
    handle: str
    access_jwt: str
    refresh_jwt: str
    did_doc: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)

    def __repr__(self) -> str:
        return f"<session of {self.handle}>"


class _Claims(msgspec.Struct):
    exp: float
    iat: float | None = None


class Session:
    """An account's session. A file keeps it between runs, as the service limits log-ins (300 a day).

    The service rotates tokens: each refresh invalidates those before it. So the session saves new tokens before it uses
    them, and threads and processes that share the file refresh in turn; each first looks for tokens that another saved.

    Args:
        identifier: Handle, DID or email address.
        password: An app password (https://bsky.app/settings/app-passwords).
        cache_path: File for the session; it is made with mode 0600, in a folder that is made with mode 0700.
        service: Where to log in.
        user_agent: As for `XrpcClient`.
        timeout: As for `XrpcClient`.
        backoff: As for `XrpcClient`.
        lock_timeout: Seconds to wait for another process that holds the file.
        epoch_clock: Tells the time in epoch seconds.
    """

    def __init__(
        self,
        identifier: str,
        password: str,
        cache_path: Path,
        *,
        service: str = DEFAULT_SERVICE,
        user_agent: str = user_agent(),
        timeout: float = 30,
        backoff: float = 1.0,
        lock_timeout: float = LOCK_TIMEOUT,
        epoch_clock: Callable[[], float] = time.time,
    ) -> None:
        self._identifier = identifier.strip().removeprefix("@")
        self._password = password
        self._path = cache_path
        self._service = service.rstrip("/")
        self._user_agent = user_agent
        self._timeout = timeout
        self._backoff = backoff
        self._lock_timeout = lock_timeout
        self._epoch_clock = epoch_clock
        self._owner = threading.RLock()
        self._tokens: _Tokens | None = None
        self._refresh_at = 0.0

    def __repr__(self) -> str:
        return f"<Session of {self._identifier} at {self._service}>"

    @property
    def pds(self) -> str:
        """URL of the account's own server, which takes all its requests."""
        return self._current().pds

    @property
    def did(self) -> str:
        """The account's DID."""
        return self._current().did

    def access_token(self) -> str:
        """Give a token for the `Authorization` header, refreshed if its end is near.

        Raises:
            AuthenticationFailed: The service rejects the password.
            NetworkError: The service gives no usable answer.
        """
        with self._owner:
            tokens = self._current()
            if time.monotonic() < self._refresh_at:
                return tokens.access_jwt
            return self._replace(tokens).access_jwt

    def renew(self, refused: str) -> None:
        """Replace a token that a service has refused, unless another thread already did.

        Raises:
            AuthenticationFailed: The service rejects the password.
            NetworkError: The service gives no usable answer.
        """
        with self._owner:
            tokens = self._current()
            if tokens.access_jwt == refused:
                self._replace(tokens)

    def _current(self) -> _Tokens:
        with self._owner:
            if self._tokens is None:
                with self._file_lock():
                    saved = self._load()
                    self._tokens = saved or self._log_in()
                    self._refresh_at = self._refresh_at_of(self._tokens.access_jwt, is_new=saved is None)
            return self._tokens

    def _replace(self, stale: _Tokens) -> _Tokens:
        """Get new tokens: those that another process has saved, else by a refresh, else by a log-in."""
        with self._file_lock():
            saved = self._load()
            if saved and saved.access_jwt != stale.access_jwt:
                refresh_at = self._refresh_at_of(saved.access_jwt, is_new=False)
                if time.monotonic() < refresh_at:
                    self._tokens, self._refresh_at = saved, refresh_at
                    return saved
                stale = saved
            self._tokens = self._refresh(stale) or self._log_in()
            self._refresh_at = self._refresh_at_of(self._tokens.access_jwt, is_new=True)
            return self._tokens

    def _refresh_at_of(self, jwt: str, *, is_new: bool) -> float:
        return time.monotonic() + _seconds_until_refresh(jwt, self._epoch_clock, is_new=is_new)

    def _refresh(self, stale: _Tokens) -> _Tokens | None:
        try:
            body = self._client(stale.pds).procedure(
                "com.atproto.server.refreshSession",
                msgspec.json.Decoder(_SessionBody).decode,
                authorization=f"Bearer {stale.refresh_jwt}",
                subject=self._identifier,
            )
        except RequestRejected:
            return None
        return self._save(body, stale.pds)

    def _log_in(self) -> _Tokens:
        login = msgspec.json.encode({"identifier": self._identifier, "password": self._password})
        try:
            body = self._client(self._service).procedure(
                "com.atproto.server.createSession",
                msgspec.json.Decoder(_SessionBody).decode,
                body=login,
                subject=self._identifier,
            )
        except AuthenticationFailed as error:
            what = error.message or str(error.status)
            if error.error == "AuthFactorTokenRequired":
                what = "the account asks for a code by email"
            raise AuthenticationFailed(
                error.service,
                "log-in",
                self._identifier,
                f"{what}; use the account's handle and an app password (Settings > Privacy and security)",
                status=error.status,
                error=error.error,
                message=error.message,
            ) from None
        return self._save(body, self._service)

    def _client(self, service: str) -> XrpcClient:
        # The service limits log-ins apart from other requests: so they have a pacer of their own.
        return XrpcClient(service, Pacer(10), user_agent=self._user_agent, timeout=self._timeout, backoff=self._backoff)

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        lock = filelock.FileLock(
            self._path.with_name(self._path.name + ".lock"), timeout=self._lock_timeout, mode=0o600
        )
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise self._cache_error("another run is holding it") from None
        except OSError as error:
            raise self._cache_error(error.strerror or str(error)) from None
        try:
            yield
        finally:
            lock.release()

    def _load(self) -> _Tokens | None:
        try:
            tokens = msgspec.json.decode(self._path.read_bytes(), type=_Tokens)
        except (OSError, ValueError, RecursionError):
            return None
        is_ours = (tokens.identifier, tokens.service) == (self._identifier, self._service)
        return tokens if is_ours else None

    def _save(self, body: _SessionBody, pds: str) -> _Tokens:
        tokens = _Tokens(
            identifier=self._identifier,
            service=self._service,
            did=body.did,
            handle=body.handle,
            pds=_pds_of(body) or pds,
            access_jwt=body.access_jwt,
            refresh_jwt=body.refresh_jwt,
        )
        try:
            _write_private(self._path, msgspec.json.encode(tokens))
        except OSError as error:
            raise self._cache_error(error.strerror or str(error)) from None
        return tokens

    def _cache_error(self, what: str) -> SessionCacheError:
        return SessionCacheError(
            host_of(self._service), "log-in", self._identifier, f"the session file {self._path}: {what}"
        )


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read at any moment, and that is whole after a crash."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _seconds_until_refresh(jwt: str, epoch_clock: Callable[[], float], *, is_new: bool) -> float:
    """Tell in how many seconds a token is to be replaced.

    The lifetime of a new token is read from the token alone, so that a wrong clock on this machine cannot cause a
    refresh at every request. A token that tells no end is used until a service refuses it.
    """
    try:
        payload = jwt.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims)
    except (IndexError, ValueError, RecursionError):
        return float("inf")
    issued_at = claims.iat if is_new and claims.iat is not None else epoch_clock()
    lifetime = claims.exp - issued_at
    until_refresh = lifetime - REFRESH_BEFORE
    if is_new:  # a token of a shorter life would otherwise be replaced at every request
        until_refresh = max(until_refresh, lifetime / 2)
    return until_refresh


def _pds_of(body: _SessionBody) -> str | None:
    try:
        return pds_endpoint_of(body.did_doc)
    except (ValueError, RecursionError):
        return None
