"""Log-in, reuse, rotation and revocation against Bluesky's own PDS."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from pipelines.network.appview import AppView, AuthenticationFailed
from pipelines.network.pacing import Pacer
from pipelines.network.session import Session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "session.json"


def log_in(atnet: dict[str, Any], cache: Path, name: str, password: str | None = None) -> Session:
    account = atnet["accounts"][name]
    return Session(account["handle"], password or account["password"], cache, service=atnet["pds"])


def ask(atnet: dict[str, Any], session: Session) -> None:
    """Ask for what only somebody who is logged in sees: their own relation to an actor."""
    appview = AppView(atnet["appview"], Pacer(100), session=session)
    profile = json.loads(bytes(appview.profile(atnet["accounts"]["ana"]["did"])))
    assert profile["viewer"]["muted"] is False


def saved(cache: Path) -> dict[str, str]:
    tokens: dict[str, str] = json.loads(cache.read_text())
    return tokens


def post(atnet: dict[str, Any], method: str, token: str, body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{atnet['pds']}/xrpc/{method}",
        data=b"" if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"} | ({"Content-Type": "application/json"} if body else {}),
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:
        return dict(json.loads(answer.read() or b"{}"))


def test_a_session_is_used_again_by_the_next_run(atnet: dict[str, Any], cache: Path) -> None:
    session = log_in(atnet, cache, "rita")
    ask(atnet, session)
    assert session.did == atnet["accounts"]["rita"]["did"]
    assert session.pds == atnet["pds"]
    before = saved(cache)
    # With a password that is wrong, only the saved session can answer.
    ask(atnet, log_in(atnet, cache, "rita", "not-the-password"))
    assert saved(cache) == before


def test_an_app_password_logs_in(atnet: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    token = log_in(atnet, tmp_path / "main.json", "carla").access_token()
    made = post(atnet, "com.atproto.server.createAppPassword", token, {"name": str(uuid4())})
    ask(atnet, log_in(atnet, cache, "carla", made["password"]))


def test_a_token_that_is_refused_is_rotated_and_saved(atnet: dict[str, Any], cache: Path) -> None:
    log_in(atnet, cache, "rita").access_token()
    before = saved(cache)
    cache.write_text(json.dumps(before | {"accessJwt": before["accessJwt"][:-4] + "AAAA"}))
    ask(atnet, log_in(atnet, cache, "rita", "not-the-password"))
    after = saved(cache)
    assert after["refreshJwt"] != before["refreshJwt"]
    ask(atnet, log_in(atnet, cache, "rita", "not-the-password"))
    assert saved(cache) == after


def test_a_revoked_session_falls_back_to_the_password(atnet: dict[str, Any], cache: Path) -> None:
    session = log_in(atnet, cache, "rita")
    refused = session.access_token()
    revoked = saved(cache)["refreshJwt"]
    post(atnet, "com.atproto.server.deleteSession", revoked)
    session.renew(refused)
    ask(atnet, session)
    assert saved(cache)["refreshJwt"] != revoked
    post(atnet, "com.atproto.server.deleteSession", saved(cache)["refreshJwt"])
    with pytest.raises(AuthenticationFailed, match="app password"):
        log_in(atnet, cache, "rita", "not-the-password").renew(session.access_token())


def test_a_wrong_password_is_one_line(atnet: dict[str, Any], cache: Path) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        ask(atnet, log_in(atnet, cache, "rita", "not-the-password"))
    assert "Invalid identifier or password" in str(caught.value)
    assert str(caught.value).isprintable()
    assert not cache.exists()
