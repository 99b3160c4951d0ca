"""Log-in: as rarely as can be, with nothing that others could read."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from pipelines.network.appview import AppView, AuthenticationFailed, RateLimited
from pipelines.network.pacing import Pacer
from pipelines.network.session import Session, SessionCacheError
from pipelines.sample.appview.faults import Fault
from tests.network.scripted_server import Asked, Reply, ScriptedServer, error_reply, json_reply

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer

CREATE = "com.atproto.server.createSession"
REFRESH = "com.atproto.server.refreshSession"


class Account:
    """An account of the sample network, and the sessions of somebody who runs a job as it."""

    def __init__(self, server: SampleServer, folder: Path) -> None:
        self.server = server
        day = server.world.on(1)
        self.did = server.world.packs[0].creator
        self.handle = day.actors[self.did].handle(day.now)
        self.cache = folder / "cache" / "session.json"

    def session(self, password: str | None = None, handle: str | None = None, **settings: Any) -> Session:
        given = password or self.server.sessions.app_password
        return Session(handle or self.handle, given, self.cache, service=self.server.url, backoff=0.001, **settings)

    def ask(self, session: Session) -> None:
        AppView("http://127.0.0.1:9", Pacer(1_000), session=session, backoff=0.001, max_attempts=2).profile(self.did)

    def asked(self) -> Counter[str]:
        return Counter(
            request.nsid.rpartition(".")[2]
            for request in self.server.requests
            if request.nsid.startswith("com.atproto.server.")
        )

    def tokens(self) -> dict[str, str]:
        content: dict[str, str] = json.loads(self.cache.read_text())
        return content


@pytest.fixture
def account(sample_server: SampleServer, tmp_path: Path) -> Account:
    return Account(sample_server, tmp_path)


def test_many_runs_and_threads_log_in_once(account: Account) -> None:
    for session in [account.session() for _ in range(3)]:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(account.ask, [session] * 16))
    assert account.asked() == {"createSession": 1}
    assert session.did == account.did


def test_requests_of_a_session_go_to_the_accounts_own_server(account: Account, server: ScriptedServer) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.nsid == CREATE:
            document = {"service": [{"id": "#atproto_pds", "serviceEndpoint": account.server.url}]}
            tokens = account.server.sessions.create(account.server.world.on(1), asked.body)
            return json_reply(tokens | {"didDoc": document})
        return error_reply(500, "Wrong server")

    server.answer = answer
    password = account.server.sessions.app_password
    account.ask(Session(account.handle, password, account.cache, service=server.url))
    assert [asked.nsid for asked in server.asked] == [CREATE]
    assert account.server.requests[-1].nsid == "app.bsky.actor.getProfile"


def test_nobody_else_can_read_the_session_at_any_moment(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    folder = account.cache.parent
    fsync = os.fsync

    def look(descriptor: int) -> None:
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    umask = os.umask(0)
    try:
        session = account.session()
        account.ask(session)
        session.renew(session.access_token())
    finally:
        os.umask(umask)
    assert modes
    assert set(modes) == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["session.json", "session.json.lock"]


def test_a_token_near_its_end_is_refreshed_once_by_one_of_many_threads(account: Account) -> None:
    account.server.sessions.access_seconds = 60
    account.session().access_token()
    account.server.sessions.access_seconds = 7_200
    session = account.session()
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: session.access_token(), range(32)))
    assert len(tokens) == 1
    assert account.asked() == {"createSession": 1, "refreshSession": 1}


def test_a_token_that_is_refused_is_refreshed_once_and_the_requests_go_on(account: Account) -> None:
    session = account.session()
    account.ask(session)
    refused = account.tokens()["accessJwt"]
    account.server.sessions.access_seconds = 7_200
    spoil(account, accessJwt=refused[:-3] + "abc")
    session = account.session()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: account.ask(session), range(16)))
    assert account.asked() == {"createSession": 1, "refreshSession": 1}


def test_threads_that_were_refused_together_refresh_once(account: Account) -> None:
    session = account.session()
    refused = session.access_token()
    account.server.sessions.access_seconds = 3_600  # tokens of one second and one length are equal
    for _ in range(3):
        session.renew(refused)
    assert account.asked() == {"createSession": 1, "refreshSession": 1}


def spoil(account: Account, **changes: str) -> None:
    account.cache.write_text(json.dumps(account.tokens() | changes))


def test_rotated_tokens_are_saved_before_they_are_used(account: Account) -> None:
    session = account.session()
    before = account.tokens() if account.cache.exists() else {}
    session.renew(session.access_token())
    after = account.tokens()
    assert after["refreshJwt"] != before.get("refreshJwt")
    assert after["accessJwt"] == session.access_token()
    # What another run finds can be refreshed again: the service takes each refresh token only once.
    other = account.session()
    other.renew(other.access_token())
    assert account.asked() == {"createSession": 1, "refreshSession": 2}


def test_runs_side_by_side_do_not_refresh_each_others_tokens_away(account: Account) -> None:
    sessions = [account.session() for _ in range(4)]
    refused = {session.access_token() for session in sessions}
    assert len(refused) == 1
    [token] = refused
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda session: session.renew(token), sessions))
    assert len({session.access_token() for session in sessions}) == 1
    assert account.asked() == {"createSession": 1, "refreshSession": 1}


def test_a_revoked_session_falls_back_to_the_password_once(account: Account) -> None:
    session = account.session()
    account.ask(session)
    account.server.sessions.revoke_all()
    session.renew(session.access_token())
    account.ask(session)
    account.ask(account.session())
    assert account.asked() == {"createSession": 2, "refreshSession": 1}


def test_an_old_and_revoked_session_falls_back_to_the_password(account: Account) -> None:
    account.server.sessions.access_seconds = 60
    account.session().access_token()
    account.server.sessions.access_seconds = 7_200
    account.server.sessions.revoke_all()
    account.ask(account.session())
    assert account.asked() == {"createSession": 2, "refreshSession": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"identifier": 7}', b"null"])
def test_a_damaged_file_is_written_anew(account: Account, content: bytes) -> None:
    account.cache.parent.mkdir()
    account.cache.write_bytes(content)
    account.cache.chmod(0o644)
    account.ask(account.session())
    assert account.tokens()["did"] == account.did
    assert stat.S_IMODE(account.cache.stat().st_mode) == 0o600
    account.ask(account.session())
    assert account.asked() == {"createSession": 1}


def test_the_session_of_another_account_is_not_used(account: Account) -> None:
    account.ask(account.session())
    day = account.server.world.on(1)
    other = next(
        actor for actor in day.actors.values() if actor.did != account.did and actor.status(day.now) == "active"
    )
    session = account.session(handle=other.handle(day.now))
    assert session.did == other.did


def test_a_wrong_password_is_one_line_and_asked_once(account: Account) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        account.ask(account.session("not-the-password"))
    message = str(caught.value)
    assert "Invalid identifier or password" in message
    assert "app password" in message
    assert account.handle in message
    assert message.isprintable()
    assert account.asked() == {"createSession": 1}
    assert not account.cache.exists()


def test_secrets_are_in_no_text_of_ours(account: Account) -> None:
    session = account.session("not-the-password-4711")
    with pytest.raises(AuthenticationFailed) as caught:
        session.access_token()
    good = account.session()
    token = good.access_token()
    shown = " ".join(map(repr, [session, good, caught.value, good._tokens, vars(caught.value)])) + str(good._tokens)
    for secret in ("4711", account.server.sessions.app_password, token, account.tokens()["refreshJwt"]):
        assert secret not in shown


def test_a_log_in_that_is_limited_for_hours_is_not_waited_for(account: Account) -> None:
    account.server.faults.add(Fault.RATE_LIMITED, nsid=CREATE, retry_after=36_000, times=None)
    with pytest.raises(RateLimited, match="600 minutes"):
        account.ask(account.session())
    assert account.asked() == {"createSession": 1}


def test_a_service_that_stumbles_while_refreshing_does_not_cost_a_log_in(account: Account) -> None:
    session = account.session()
    token = session.access_token()
    account.server.faults.add(Fault.BAD_GATEWAY, nsid=REFRESH, times=2)
    session.renew(token)
    assert account.asked() == {"createSession": 1, "refreshSession": 3}


def test_a_file_that_cannot_be_written_is_named(account: Account) -> None:
    account.cache.parent.write_text("a file, where the folder should be")
    with pytest.raises(SessionCacheError, match=r"session\.json"):
        account.ask(account.session())


def test_a_run_that_holds_the_session_for_ever_is_named(account: Account) -> None:
    account.cache.parent.mkdir()
    with filelock.FileLock(f"{account.cache}.lock"), pytest.raises(SessionCacheError, match="another run"):
        account.session(lock_timeout=0.05).access_token()


def test_a_wrong_clock_here_does_not_refresh_at_every_request(account: Account) -> None:
    session = account.session()
    session.access_token()
    in_a_day = time.time() + 86_400
    late = account.session(epoch_clock=lambda: in_a_day)
    for _ in range(5):
        late.access_token()
    assert account.asked()["refreshSession"] <= 1


def test_threads_wait_for_the_one_that_logs_in(account: Account) -> None:
    account.server.faults.add(Fault.SLOW, nsid=CREATE, seconds=0.2)
    session = account.session()
    begin = threading.Barrier(6)

    def ask(_: int) -> None:
        begin.wait()
        account.ask(session)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(6)))
    assert account.asked() == {"createSession": 1}
