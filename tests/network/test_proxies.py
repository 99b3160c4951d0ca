"""The proxies that the environment names count for every request, and for none to this machine itself."""

from __future__ import annotations

import base64
import os
import socket

import msgspec
import pytest

from pipelines.network.connections import proxy_of
from pipelines.network.errors import ServiceUnreachable
from pipelines.network.pacing import Pacer
from pipelines.network.xrpc import XrpcClient
from tests.network.scripted_server import ScriptedServer, json_reply

FAR = "http://bluesky.invalid"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def ask(service: str) -> dict[str, str]:
    client = XrpcClient(service, Pacer(1_000), max_attempts=1, timeout=5)
    # A client of another service has the same ways.
    client = client.for_service(service)
    return client.query("app.bsky.test", {"q": "x"}, lambda body: msgspec.json.decode(body, type=dict[str, str]))


def test_a_request_goes_through_the_proxy_with_its_password(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://us%40er:pass@{server.host}")
    server.answer_in_turn(json_reply({"hello": "proxy"}))
    assert ask(FAR) == {"hello": "proxy"}
    [asked] = server.asked
    assert asked.headers["host"] == "bluesky.invalid"
    assert asked.path == "/xrpc/app.bsky.test"
    assert asked.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"us@er:pass").decode()


def test_this_machine_is_asked_without_one(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    server.answer_in_turn(json_reply({"hello": "server"}))
    assert ask(server.url) == {"hello": "server"}


@pytest.mark.parametrize("proxy", ["socks5://us:secret@proxy.invalid:1080", "http://us:secret@[proxy", "closed"])
def test_a_proxy_that_is_of_no_use_is_named_in_one_line_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if proxy == "closed":
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            proxy = f"http://us:secret@127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ServiceUnreachable) as raised:
        ask(FAR)
    told = str(raised.value)
    assert "HTTP_PROXY" in told
    assert "secret" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example/x", "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "https://a.example", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "https://a.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example, a.example:443"}, "https://a.example:443", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "b.example"}, "https://a.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "https://localhost:8080", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://[::1]:8080", None),
    ],
)
def test_the_environment_is_read_as_the_standard_library_reads_it(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == proxy
