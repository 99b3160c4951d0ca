"""What is asked of an account's own server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.network.appview import AppView
from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorNotFound,
    MethodNotSupported,
    NetworkError,
    RecordNotFound,
    RequestRejected,
    ServiceFailed,
    ServiceUnreachable,
)
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import LatestCommit, Repositories
from pipelines.network.xrpc import XrpcClient
from tests.network.repo_writer import K256, did_document
from tests.network.scripted_server import Asked, Reply, ScriptedServer, error_reply, json_reply

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World

CREATOR = "did:plc:lc5jzrr425fyah724df3z5ik"
LIST = f"at://{CREATOR}/app.bsky.graph.list/abc"


def repositories(plc_directory: str) -> Repositories:
    return Repositories(XrpcClient(plc_directory, Pacer(1_000), backoff=0.001), plc_directory)


def test_a_list_is_read_with_the_members_that_the_appview_hides(world: World, sample_server: SampleServer) -> None:
    pack = world.packs[0]
    records = list(repositories(sample_server.url).list_item_records(pack.creator, pack.list.uri))
    subjects = {json.loads(bytes(record))["value"]["subject"] for record in records}
    day = world.on(1)
    assert subjects == {
        item.subject
        for item in pack.list.items
        if item.added_at <= day.now and (item.removed_at is None or day.now < item.removed_at)
    }
    pages = AppView(sample_server.url, Pacer(1_000)).list_pages(pack.list.uri)
    shown = {json.loads(bytes(item))["subject"]["did"] for page in pages for item in page.items}
    assert shown < subjects


def test_a_server_is_looked_up_once(world: World, sample_server: SampleServer) -> None:
    reader = repositories(sample_server.url)
    pack = world.packs[0]
    for _ in range(3):
        assert reader.pds_endpoint(pack.creator) == sample_server.url
    assert reader.stats.requests_by_endpoint == {"DID document": 1}


def test_a_did_that_nobody_has_is_an_actor_not_found(server: ScriptedServer) -> None:
    for status in (404, 410):
        server.answer_in_turn(json_reply({"message": "not here"}, status))
        with pytest.raises(ActorNotFound, match=CREATOR):
            repositories(server.url).pds_endpoint(CREATOR)


def test_did_web_is_looked_up_at_its_own_host(server: ScriptedServer) -> None:
    did = "did:web:" + server.host.replace("127.0.0.1", "localhost").replace(":", "%3A")
    server.answer_in_turn(json_reply(document(did, "https://pds.example/")))
    assert repositories("http://127.0.0.1:9").pds_endpoint(did) == "https://pds.example"
    assert server.asked[0].path == "/.well-known/did.json"


def document(did: str, endpoint: Any, service_id: str = "#atproto_pds") -> dict[str, Any]:
    other = {"id": "#other", "type": "Other", "serviceEndpoint": ["https://other.example"]}
    return {"id": did, "service": [other, {"id": service_id, "type": "X", "serviceEndpoint": endpoint}]}


@pytest.mark.parametrize(
    "body",
    [
        document(CREATOR, "http://pds.example"),
        document(CREATOR, "ftp://pds.example"),
        document(CREATOR, "https://"),
        document(CREATOR, {"url": "https://pds.example"}),
        document(CREATOR, "https://pds.example", "#labeler"),
        document(CREATOR, "https://pds.example/a path"),
        document(CREATOR, "https://pds.example:99999"),
        document(CREATOR, "https://:443"),
        document(CREATOR, "https://:"),
        {"id": CREATOR},
        ["no", "document"],
        {},
    ],
)
def test_a_document_that_names_no_server_is_said_so(server: ScriptedServer, body: Any) -> None:
    server.answer_in_turn(json_reply(body))
    with pytest.raises(ServiceFailed, match=f"DID document for {CREATOR}"):
        repositories(server.url).pds_endpoint(CREATOR)


@pytest.mark.parametrize(
    "did", ["did:plc:a/../b c", "did:web:", "did:web:a b", "did:web:host%3Ax", "alice.example", ""]
)
def test_what_is_no_did_is_named_and_not_asked(server: ScriptedServer, did: str) -> None:
    server.answer_in_turn(json_reply({}, 404))
    with pytest.raises((ServiceFailed, ActorNotFound), match="DID"):
        repositories(server.url).pds_endpoint(did)


def record(number: int, of: Any = LIST) -> dict[str, Any]:
    uri = f"at://{CREATOR}/app.bsky.graph.listitem/{number}"
    return {"uri": uri, "cid": "b", "value": {"subject": f"did:plc:{number}", "list": of}}


class Pds:
    """A creator's server, and the directory that leads to it."""

    def __init__(self, server: ScriptedServer, *pages: dict[str, Any]) -> None:
        self.url = server.url
        self.pages = list(pages)

    def answer(self, asked: Asked) -> Reply:
        if asked.path == f"/{CREATOR}":
            return json_reply(document(CREATOR, self.url))
        assert asked.params["collection"] == ["app.bsky.graph.listitem"]
        assert asked.params["limit"] == ["100"]
        return json_reply(self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])


def test_other_lists_and_odd_records_are_passed_over(server: ScriptedServer) -> None:
    server.answer = Pds(
        server,
        {"records": [record(1), record(2, "at://other"), record(3, None), {"value": 7}], "cursor": "3"},
        {"records": [record(4)], "cursor": "4"},
        {"records": []},
    ).answer
    found = list(repositories(server.url).list_item_records(CREATOR, LIST))
    assert [json.loads(bytes(one)) for one in found] == [record(1), record(4)]


@pytest.mark.parametrize("cursor", ["same", 7])
def test_pages_that_do_not_end_are_no_complete_list(server: ScriptedServer, cursor: Any) -> None:
    server.answer = Pds(server, {"records": [record(1)], "cursor": cursor}).answer
    with pytest.raises(ServiceFailed, match="listRecords"):
        list(repositories(server.url).list_item_records(CREATOR, LIST))


POST = f"at://{CREATOR}/app.bsky.feed.post/3k"


def account(server: ScriptedServer, reply: Reply) -> Repositories:
    """Let the account's server give one answer to everything."""
    server.answer = lambda asked: json_reply(document(CREATOR, server.url)) if asked.path == f"/{CREATOR}" else reply
    return repositories(server.url)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error_reply(400, "RecordNotFound", f"Could not locate record: {POST}"), RecordNotFound),
        (error_reply(400, "InvalidRequest", "Could not locate record"), RecordNotFound),
        (error_reply(400, "InvalidRequest", f"Could not find repo: {CREATOR}"), ActorNotFound),
        (error_reply(400, "RepoNotFound", "no"), ActorNotFound),
        (error_reply(400, "RepoDeactivated", "no"), AccountDeactivated),
        (error_reply(400, "RepoTakendown", "no"), AccountSuspended),
        (error_reply(400, "RepoSuspended", "no"), AccountSuspended),
        (error_reply(400, "InvalidRequest", "something else"), RequestRejected),
        (Reply(b"<html>no</html>", 404), MethodNotSupported),
        (Reply(b"<html>yes</html>"), ServiceFailed),
        (json_reply({"uri": POST + "l", "cid": "bafy", "value": {}}), ServiceFailed),
        (json_reply({"uri": POST, "cid": "bafy", "value": "text"}), ServiceFailed),
    ],
)
def test_why_there_is_no_record_is_told_apart(server: ScriptedServer, reply: Reply, kind: type[NetworkError]) -> None:
    with pytest.raises(NetworkError) as raised:
        account(server, reply).record(CREATOR, "app.bsky.feed.post", "3k")
    assert type(raised.value) is kind


def test_a_record_keeps_its_bytes(server: ScriptedServer) -> None:
    body = b'{ "uri":"%b", "value": {"text":"\\u00e9"} }' % POST.encode()
    assert bytes(account(server, Reply(body)).record(CREATOR, "app.bsky.feed.post", "3k")) == body


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"did": CREATOR, "active": True, "rev": "3k"}, None),
        ({"did": CREATOR, "active": False, "status": "deactivated"}, AccountDeactivated),
        ({"did": CREATOR, "active": False, "status": "takendown"}, AccountSuspended),
        ({"did": CREATOR, "active": False}, AccountSuspended),
        ({"did": "did:plc:other", "active": True}, ServiceFailed),
        ({"did": CREATOR, "active": "yes"}, ServiceFailed),
    ],
)
def test_whether_a_repository_is_served_is_what_its_server_says(
    server: ScriptedServer, status: dict[str, Any], kind: type[NetworkError] | None
) -> None:
    reader = account(server, json_reply(status))
    if kind is None:
        reader.expect_served(CREATOR)
        return
    with pytest.raises(NetworkError) as raised:
        reader.expect_served(CREATOR)
    assert type(raised.value) is kind


# A whole repository.


class WholePds(Pds):
    """A server that gives these answers to everything but the DID document, the last one from then on."""

    def __init__(self, server: ScriptedServer, *replies: Reply) -> None:
        super().__init__(server)
        self.replies = list(replies)
        server.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        if asked.path == f"/{CREATOR}":
            return json_reply(document(CREATOR, self.url) | json.loads(did_document(K256, CREATOR)))
        assert asked.params == {"did": [CREATOR]}
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def whole(server: ScriptedServer, **client: Any) -> bytes:
    settings = {"backoff": 0.001, "max_attempts": 3, "timeout": 0.5} | client
    reader = Repositories(XrpcClient(server.url, Pacer(1_000), **settings), server.url)
    return b"".join(reader.repository(CREATOR))


def asked_for_the_repository(server: ScriptedServer) -> list[Asked]:
    return [asked for asked in server.asked if asked.nsid == "com.atproto.sync.getRepo"]


def test_a_repository_comes_in_pieces_whatever_its_size(server: ScriptedServer) -> None:
    content = bytes(range(256)) * 80_000
    WholePds(server, Reply(content))
    reader = repositories(server.url)
    pieces = list(reader.repository(CREATOR))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 1 << 20 < len(content)
    assert reader.stats.bytes_received > len(content)
    assert asked_for_the_repository(server)[0].headers["accept"] == "application/vnd.ipld.car"


@pytest.mark.parametrize(
    "failure", [Reply(status=503), Reply(status=429), Reply(is_reset=True), Reply(b"x" * 9, cut_after=0)]
)
def test_a_repository_is_asked_for_again_before_its_first_byte(server: ScriptedServer, failure: Reply) -> None:
    WholePds(server, failure, failure, Reply(b"all of it"))
    assert whole(server) == b"all of it"
    assert len(asked_for_the_repository(server)) == 3


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Reply(status=503), ServiceFailed),
        (Reply(is_reset=True), ServiceUnreachable),
        (Reply(delay=1.5), ServiceUnreachable),
    ],
)
def test_a_repository_that_does_not_come_is_an_error(
    server: ScriptedServer, failure: Reply, error: type[NetworkError]
) -> None:
    WholePds(server, failure)
    with pytest.raises(error, match=r"com\.atproto\.sync\.getRepo for did:plc:.*\(2 attempts\)"):
        whole(server, max_attempts=2)


def test_a_repository_that_breaks_off_is_an_error_and_not_asked_for_again(server: ScriptedServer) -> None:
    WholePds(server, Reply(b"x" * 5_000_000, cut_after=3_000_000), Reply(b"all of it"))
    with pytest.raises(ServiceFailed, match="was cut off after"):
        whole(server)
    assert len(asked_for_the_repository(server)) == 1


def test_a_repository_may_take_longer_than_other_answers_as_long_as_it_goes_on(server: ScriptedServer) -> None:
    WholePds(server, Reply(b"x" * 8, trickle=0.1))
    assert whole(server, timeout=0.4) == b"x" * 8


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (error_reply(400, "RepoDeactivated"), AccountDeactivated),
        (error_reply(400, "RepoTakendown"), AccountSuspended),
        (error_reply(400, "RepoNotFound"), ActorNotFound),
        (error_reply(501, "MethodNotImplemented"), MethodNotSupported),
        (error_reply(404, "XRPCNotSupported"), MethodNotSupported),
        (Reply(b"<h1>Not Found</h1>", 404), MethodNotSupported),
        (error_reply(400, "InvalidRequest"), RequestRejected),
    ],
)
def test_why_a_repository_is_not_served(server: ScriptedServer, reply: Reply, error: type[NetworkError]) -> None:
    WholePds(server, reply)
    with pytest.raises(error):
        whole(server)
    with pytest.raises(error):
        repositories(server.url).latest_commit(CREATOR)
    assert len(asked_for_the_repository(server)) == 1


def test_the_latest_commit_and_the_key_are_told(server: ScriptedServer) -> None:
    WholePds(server, json_reply({"cid": "bafyrei", "rev": "3lbnxk2sz6c2a"}))
    reader = repositories(server.url)
    assert reader.latest_commit(CREATOR) == LatestCommit("bafyrei", "3lbnxk2sz6c2a")
    assert reader.signing_key(CREATOR) == K256.did_key
    assert reader.stats.requests == 2


def test_a_document_may_name_a_server_and_no_key(server: ScriptedServer) -> None:
    server.answer_in_turn(json_reply(document(CREATOR, "https://pds.example")))
    reader = repositories(server.url)
    assert reader.pds_endpoint(CREATOR) == "https://pds.example"
    assert reader.signing_key(CREATOR) is None
