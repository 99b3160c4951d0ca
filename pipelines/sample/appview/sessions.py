"""Log-in with an app password, as a PDS does it: com.atproto.server.createSession, refreshSession and getSession.

Tokens look like JWTs and run out like them, but the signature is only as good as the sample network needs. A refresh
token works once: the hosted service revokes it at once, so nobody should lean on the reference PDS's grace of 2 hours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.sample.appview.queries import XrpcError
from pipelines.sample.world.truth import ACTIVE

if TYPE_CHECKING:
    from pipelines.sample.world.world import Day

    Json = dict[str, Any]

ACCESS: Final = "com.atproto.appPass"
REFRESH: Final = "com.atproto.refresh"


class Sessions:
    """The sessions of one server.

    Attributes:
        app_password: What everybody in the world logs in with.
        access_seconds: How long an access token works.
        refresh_seconds: How long a refresh token works.
    """

    def __init__(self, *, access_seconds: float = 7_200, refresh_seconds: float = 90 * 86_400) -> None:
        self.app_password = "duck-pond-lake-2026"
        self.access_seconds = access_seconds
        self.refresh_seconds = refresh_seconds
        self._issued = 0
        self._valid_refresh: set[str] = set()

    def create(self, day: Day, body: bytes) -> Json:
        """Log in.

        Raises:
            XrpcError: Identifier or password is wrong.
        """
        given = _object(body)
        identifier = str(given.get("identifier", "")).removeprefix("@")
        actor = day.find(identifier)
        if actor is None or actor.status(day.now) != ACTIVE or given.get("password") != self.app_password:
            raise XrpcError(401, "AuthenticationRequired", "Invalid identifier or password")
        return self._issue(day, actor.did)

    def refresh(self, day: Day, authorization: str | None) -> Json:
        """Trade a refresh token for a new pair; the old one is of no use any more.

        Raises:
            XrpcError: The token is none, has expired, or was used or revoked.
        """
        claims = self._claims(authorization, REFRESH)
        if claims["jti"] not in self._valid_refresh:
            raise XrpcError(400, "ExpiredToken", "Token has been revoked")
        self._valid_refresh.remove(claims["jti"])
        return self._issue(day, claims["sub"])

    def show(self, day: Day, authorization: str | None) -> Json:
        """Say whose session it is.

        Raises:
            XrpcError: The access token is none, or has expired.
        """
        did = self.requester(authorization)
        return {"did": did, "handle": day.actors[did].handle(day.now), "active": True}

    def requester(self, authorization: str | None) -> str:
        """Give the DID of whoever asks with this access token.

        Raises:
            XrpcError: It is none, or has expired.
        """
        return str(self._claims(authorization, ACCESS)["sub"])

    def delete(self, authorization: str | None) -> None:
        """Log out: revoke a refresh token.

        Raises:
            XrpcError: The token is none, or has expired.
        """
        self._valid_refresh.discard(self._claims(authorization, REFRESH)["jti"])

    def revoke_all(self) -> None:
        """Revoke every refresh token, as when an app password is taken back."""
        self._valid_refresh.clear()

    def _issue(self, day: Day, did: str) -> Json:
        return {
            "accessJwt": self._token(did, ACCESS, self.access_seconds),
            "refreshJwt": self._token(did, REFRESH, self.refresh_seconds),
            "handle": day.actors[did].handle(day.now),
            "did": did,
            "active": True,
        }

    def _token(self, did: str, scope: str, seconds: float) -> str:
        self._issued += 1
        now = int(time.time())
        claims = {
            "scope": scope,
            "sub": did,
            "aud": "did:web:localhost",
            "iat": now,
            "exp": int(now + seconds),
            "jti": f"token-{self._issued}",
        }
        if scope == REFRESH:
            self._valid_refresh.add(f"token-{self._issued}")
        signed = _base64({"typ": "at+jwt", "alg": "HS256"}) + "." + _base64(claims)
        return f"{signed}.{_signature(signed)}"

    def _claims(self, authorization: str | None, scope: str) -> Json:
        if not authorization:
            raise XrpcError(401, "AuthMissing", "Authentication Required")
        signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
        if not hmac.compare_digest(signature, _signature(signed)):
            raise XrpcError(400, "InvalidToken", "Token could not be verified")
        payload = signed.partition(".")[2]
        claims = _object(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["scope"] != scope:
            raise XrpcError(400, "InvalidToken", "Bad token scope")
        if claims["exp"] <= time.time():
            raise XrpcError(400, "ExpiredToken", "Token has expired")
        return claims


def _object(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise XrpcError(400, "InvalidRequest", "Input must be a JSON object") from error


def _base64(claims: Json) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")


def _signature(signed: str) -> str:
    digest = hmac.new(b"the sample network", signed.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
