"""The sample server: what it serves is the world's truth, in the form and with the errors of the real service."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.sample.appview.server import RateLimit, SampleServer
from pipelines.sample.world.truth import Defect

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from pipelines.sample.world.world import World

    Ask = Callable[..., tuple[int, dict[str, Any]]]

PROJECT = Path(__file__).parents[2]
FEED = "app.bsky.feed.getAuthorFeed"
LIST = "app.bsky.graph.getList"
PROFILES = "app.bsky.actor.getProfiles"


def _pages(ask: Ask, server: SampleServer, nsid: str, key: str, **params: Any) -> list[dict[str, Any]]:
    """Page to the end, as the lexicon says: until there is no cursor."""
    found: list[dict[str, Any]] = []
    while True:
        status, page = ask(server, nsid, **params)
        assert status == 200, page
        assert len(page[key]) <= params["limit"]
        found.extend(page[key])
        if "cursor" not in page:
            return found
        params["cursor"] = page["cursor"]


def _uri(item: dict[str, Any]) -> str:
    return str(item["reason"]["uri"] if item.get("reason") else item["post"]["uri"])


@pytest.mark.parametrize("day", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_paging_through_every_feed_gives_the_truth(world: World, ask: Ask, day: int) -> None:
    with SampleServer(world, day) as server:
        seen = world.on(day)
        for did, actor in seen.actors.items():
            if not actor.is_available(seen.now):
                assert ask(server, FEED, actor=did) == (
                    400,
                    {"error": "InvalidRequest", "message": "Profile not found"},
                )
                continue
            served = _pages(ask, server, FEED, "feed", actor=did, limit=100)
            truth = seen.feed(did)
            assert [_uri(item) for item in served] == [item.uri for item in truth]
            for item, true in zip(served, truth, strict=True):
                assert item["post"]["uri"] == true.post.uri
                assert item["post"]["cid"] == true.post.cid
                if true.post.defect is None:
                    assert item["post"]["likeCount"] == seen.counts(true.post).like
                    assert item["post"]["record"]["text"] == true.post.text
            assert len({_uri(item) for item in served}) == len(served)


@pytest.mark.parametrize("limit", [1, 7, 99])
def test_every_limit_gives_the_same_feed(world: World, sample_server: SampleServer, ask: Ask, limit: int) -> None:
    did = world.actor("archivist").did
    served = _pages(ask, sample_server, FEED, "feed", actor=did, limit=limit)
    assert [_uri(item) for item in served] == [item.uri for item in world.on(1).feed(did)]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_limit_gives_the_same_list_with_short_pages(
    world: World, sample_server: SampleServer, ask: Ask, limit: int
) -> None:
    members = world.packs[0].list
    served = _pages(ask, sample_server, LIST, "items", list=members.uri, limit=limit)
    assert [item["uri"] for item in served] == [item.uri for item in world.on(1).listed(members)]
    status, page = ask(sample_server, LIST, list=members.uri, limit=100)
    assert status == 200
    assert page["list"]["listItemCount"] == len(world.on(1).memberships(members)) > len(served)


def test_a_pack_shows_a_dozen_and_counts_everybody(world: World, sample_server: SampleServer, ask: Ask) -> None:
    pack, day = world.packs[0], world.on(1)
    _, body = ask(sample_server, "app.bsky.graph.getStarterPack", starterPack=pack.uri)
    view = body["starterPack"]
    assert [item["uri"] for item in view["listItemsSample"]] == [item.uri for item in day.listed(pack.list)[:12]]
    assert view["list"]["listItemCount"] == len(day.memberships(pack.list))
    by_handle = pack.uri.replace(pack.creator, "mara.bsky.test")
    assert ask(sample_server, "app.bsky.graph.getStarterPack", starterPack=by_handle)[1] == body
    missing = f"at://{world.actor('leo').did}/app.bsky.feed.post/3k22222222222"
    uris = [world.packs[1].uri, missing, pack.uri]
    _, packs = ask(sample_server, "app.bsky.graph.getStarterPacks", uris=uris)
    assert [one["uri"] for one in packs["starterPacks"]] == [world.packs[1].uri, pack.uri]


def test_profiles_come_as_asked_without_the_unavailable(world: World, sample_server: SampleServer, ask: Ask) -> None:
    mara, gone, leo = (world.actor(name).did for name in ("mara", "gone", "leo"))
    _, body = ask(sample_server, PROFILES, actors=[leo, gone, mara, "leo.bsky.test"])
    assert [profile["did"] for profile in body["profiles"]] == [leo, mara, leo]
    assert body["profiles"][1]["pinnedPost"]["uri"] == world.actor("mara").profiles[-1].pinned.uri  # type: ignore[union-attr]
    assert body["profiles"][1]["postsCount"] == sum(item.repost is None for item in world.on(1).feed(mara))
    _, bare = ask(sample_server, "app.bsky.actor.getProfile", actor=world.actor("noprofile").did)
    assert not {"displayName", "description", "createdAt", "indexedAt"} & bare.keys()


UNKNOWN_DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("nsid", "params", "status", "error", "message"),
    [
        (FEED, {"actor": UNKNOWN_DID}, 400, "InvalidRequest", "Profile not found"),
        (FEED, {"actor": "nobody.bsky.test"}, 400, "InvalidRequest", "Profile not found"),
        (FEED, {}, 400, "InvalidRequest", "actor"),
        (FEED, {"actor": "mara.bsky.test", "limit": 101}, 400, "InvalidRequest", "limit"),
        (FEED, {"actor": "mara.bsky.test", "limit": 0}, 400, "InvalidRequest", "limit"),
        (FEED, {"actor": "mara.bsky.test", "limit": "many"}, 400, "InvalidRequest", "limit"),
        (FEED, {"actor": "mara.bsky.test", "cursor": "yesterday"}, 400, "InvalidRequest", "Malformed cursor"),
        (PROFILES, {"actors": ["mara.bsky.test"] * 26}, 400, "InvalidRequest", "25"),
        (PROFILES, {"actors": ["mara.bsky.test", "not an actor"]}, 400, "InvalidRequest", "actors/1"),
        (LIST, {"list": f"at://{UNKNOWN_DID}/app.bsky.graph.list/self"}, 400, "InvalidRequest", "List not found"),
        (
            "app.bsky.graph.getStarterPack",
            {"starterPack": f"at://{UNKNOWN_DID}/app.bsky.graph.starterpack/x"},
            400,
            "InvalidRequest",
            "Starter pack not found",
        ),
        (
            "app.bsky.graph.getStarterPack",
            {"starterPack": "at://nobody.bsky.test/app.bsky.graph.starterpack/x"},
            500,
            "InternalServerError",
            "Internal",
        ),
        (
            "com.atproto.identity.resolveHandle",
            {"handle": "nobody.bsky.test"},
            400,
            "InvalidRequest",
            "Unable to resolve",
        ),
        ("com.atproto.sync.getRepoStatus", {"did": UNKNOWN_DID}, 400, "RepoNotFound", UNKNOWN_DID),
        (
            "com.atproto.repo.getRecord",
            {"repo": "mara.bsky.test", "collection": "app.bsky.feed.post", "rkey": "none"},
            400,
            "RecordNotFound",
            "none",
        ),
        ("app.bsky.feed.getTimeline", {}, 501, "MethodNotImplemented", "Method"),
    ],
)
def test_errors_are_told_as_the_real_service_tells_them(
    *, sample_server: SampleServer, ask: Ask, nsid: str, params: dict[str, Any], status: int, error: str, message: str
) -> None:
    got, body = ask(sample_server, nsid, **params)
    assert (got, body["error"]) == (status, error)
    assert message in body["message"]


def test_a_broken_list_cursor_is_an_internal_error(world: World, sample_server: SampleServer, ask: Ask) -> None:
    assert ask(sample_server, LIST, list=world.packs[0].list.uri, cursor="::")[0] == 500


@pytest.mark.parametrize(
    ("name", "error", "active"),
    [
        ("ghosted", "AccountDeactivated", {"active": False, "status": "deactivated"}),
        ("spammy", "AccountTakedown", {"active": False, "status": "suspended"}),
        ("gone", "InvalidRequest", {"error": "RepoNotFound"}),
    ],
)
def test_unavailable_accounts_are_told_apart_by_profile_and_repository(
    *, world: World, sample_server: SampleServer, ask: Ask, name: str, error: str, active: dict[str, Any]
) -> None:
    did = world.actor(name).did
    status, body = ask(sample_server, "app.bsky.actor.getProfile", actor=did)
    assert (status, body["error"]) == (400, error)
    assert active.items() <= ask(sample_server, "com.atproto.sync.getRepoStatus", did=did)[1].items()


def test_a_pin_comes_first_and_again_at_its_place(world: World, sample_server: SampleServer, ask: Ask) -> None:
    for name, is_on_first_page in (("mara", False), ("bia", True)):
        actor = world.actor(name)
        _, plain = ask(sample_server, FEED, actor=actor.did, limit=100)
        _, page = ask(sample_server, FEED, actor=actor.did, limit=100, includePins="true")
        pin, rest = page["feed"][0], page["feed"][1:]
        assert pin["reason"] == {"$type": "app.bsky.feed.defs#reasonPin"}
        assert page["cursor"] == plain["cursor"]
        assert rest == [item for item in plain["feed"] if item["post"]["uri"] != pin["post"]["uri"] or "reason" in item]
        assert len(page["feed"]) == (100 if is_on_first_page else 101)
    _, deleted = ask(sample_server, FEED, actor=world.actor("sam").did, limit=1, includePins="true")
    assert "reason" not in deleted["feed"][0]


def test_the_day_can_change_while_it_runs(world: World, sample_server: SampleServer, ask: Ask) -> None:
    did = world.actor("mara").did
    for day in (1, 3):
        sample_server.day = day
        _, page = ask(sample_server, FEED, actor=did, limit=100)
        assert [_uri(item) for item in page["feed"]] == [item.uri for item in world.on(day).feed(did)[:100]]


def test_posts_are_found_by_uri(world: World, sample_server: SampleServer, ask: Ask) -> None:
    there, also = [item.post.uri for item in world.on(1).feed(world.actor("leo").did) if not item.repost][:2]
    missing = f"at://{UNKNOWN_DID}/app.bsky.feed.post/3k22222222222"
    _, body = ask(sample_server, "app.bsky.feed.getPosts", uris=[also, missing, there, also])
    assert [post["uri"] for post in body["posts"]] == [also, there]


def test_repositories_list_their_records_in_both_directions(
    world: World, sample_server: SampleServer, ask: Ask
) -> None:
    pack = world.packs[0]
    truth = {item.uri: item.subject for item in world.on(1).memberships(pack.list)}
    for reverse in ("false", "true"):
        params = {"repo": pack.creator, "collection": "app.bsky.graph.listitem", "limit": 7, "reverse": reverse}
        found: dict[str, str] = {}
        while (page := ask(sample_server, "com.atproto.repo.listRecords", **params)[1])["records"]:
            found |= {one["uri"]: one["value"]["subject"] for one in page["records"]}
            params["cursor"] = page["cursor"]
        assert found == truth
        assert list(found) == sorted(found, reverse=reverse == "false")
    post = world.on(1).feed(pack.creator)[0].post
    _, one = ask(
        sample_server, "com.atproto.repo.getRecord", repo=post.author, collection="app.bsky.feed.post", rkey=post.rkey
    )
    assert (one["uri"], one["cid"]) == (post.uri, post.cid)


def test_a_repository_s_revision_changes_when_something_happens(
    world: World, sample_server: SampleServer, ask: Ask
) -> None:
    revs: dict[str, list[str]] = {"mara": [], "enginenews": []}
    for sample_server.day in (1, 3):
        for name, seen in revs.items():
            _, body = ask(sample_server, "com.atproto.sync.getRepoStatus", did=world.actor(name).did)
            seen.append(body["rev"])
    assert revs["mara"][0] < revs["mara"][1]
    assert revs["enginenews"][0] == revs["enginenews"][1]


def test_it_plays_the_plc_directory_and_the_link_shortener(
    world: World, sample_server: SampleServer, http: urllib3.PoolManager
) -> None:
    def get(path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return http.request("GET", f"{sample_server.url}{path}", headers=headers, redirect=False)

    document = get(f"/{world.actor('jonas').did}").json()
    assert document["alsoKnownAs"] == ["at://jonas.bsky.test"]
    assert document["service"][0]["serviceEndpoint"] == sample_server.url
    assert get(f"/{UNKNOWN_DID}").status == 404
    assert get(f"/{world.actor('gone').did}").status == 410
    pack = world.packs[0]
    target = f"https://bsky.app/start/{pack.creator}/{pack.rkey}"
    assert get(f"/{pack.short_code}", accept="application/json").json() == {"url": target}
    redirect = get(f"/{pack.short_code}")
    assert (redirect.status, redirect.headers["location"]) == (301, target)
    assert get("/nothere", accept="application/json").status == 404
    assert get("/nothere").headers["location"] == "https://bsky.app"


def test_answers_are_compressed_only_when_asked(
    world: World, sample_server: SampleServer, http: urllib3.PoolManager
) -> None:
    url = f"{sample_server.url}/xrpc/{FEED}?actor={world.actor('mara').did}"
    plain = http.request("GET", url)
    packed = http.request("GET", url, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.data == packed.data


def test_requests_are_counted(world: World, sample_server: SampleServer, ask: Ask) -> None:
    did = world.actor("mara").did
    before = time.monotonic()
    ask(sample_server, FEED, actor=did, limit=5)
    ask(sample_server, FEED, actor=UNKNOWN_DID)
    assert [(one.nsid, one.params, one.status) for one in sample_server.requests] == [
        (FEED, {"actor": did, "limit": "5"}, 200),
        (FEED, {"actor": UNKNOWN_DID}, 400),
    ]
    assert before <= sample_server.requests[0].at <= sample_server.requests[1].at <= time.monotonic()


def test_a_window_s_allowance_is_told_and_enforced(world: World, http: urllib3.PoolManager) -> None:
    with SampleServer(world, rate_limit=RateLimit(3, 1.0)) as server:
        url = f"{server.url}/xrpc/com.atproto.identity.resolveHandle?handle=mara.bsky.test"
        responses = [http.request("GET", url) for _ in range(4)]
        assert [response.status for response in responses] == [200, 200, 200, 429]
        assert [response.headers["ratelimit-remaining"] for response in responses] == ["2", "1", "0", "0"]
        assert responses[0].headers["ratelimit-limit"] == "3"
        assert responses[0].headers["ratelimit-policy"] == "3;w=1"
        assert abs(int(responses[0].headers["ratelimit-reset"]) - time.time()) <= 2
        assert responses[3].json() == {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
        time.sleep(float(responses[3].headers["retry-after"]))
        assert http.request("GET", url).status == 200


def test_the_appview_says_nothing_of_limits(
    world: World, sample_server: SampleServer, http: urllib3.PoolManager
) -> None:
    response = http.request("GET", f"{sample_server.url}/xrpc/{FEED}?actor={world.actor('mara').did}")
    assert not [name for name in response.headers if "limit" in name.lower()]


def test_the_sdk_logs_in_reads_and_refreshes(world: World, sample_server: SampleServer) -> None:
    from atproto import Client  # noqa: PLC0415 - takes seconds, which workers without this test need not spend

    client = Client(sample_server.url)
    profile = client.login("mara.bsky.test", sample_server.sessions.app_password)
    assert profile.did == world.actor("mara").did
    feed = client.get_author_feed(world.actor("leo").did, limit=5)
    assert [item.post.uri for item in feed.feed] == [
        item.post.uri for item in world.on(1).feed(world.actor("leo").did)[:5]
    ]
    again = Client(sample_server.url)
    again.login(session_string=client.export_session_string())
    assert again.me is not None
    assert again.me.did == profile.did


def _post(
    http: urllib3.PoolManager, server: SampleServer, method: str, token: str = "", **body: str
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{server.url}/xrpc/com.atproto.server.{method}"
    response = http.request("POST", url, body=msgspec.json.encode(body), headers=headers)
    return response.status, msgspec.json.decode(response.data) if response.data else {}


def test_refresh_tokens_work_once_and_can_be_revoked(sample_server: SampleServer, http: urllib3.PoolManager) -> None:
    login = {"identifier": "mara.bsky.test", "password": sample_server.sessions.app_password}
    status, session = _post(http, sample_server, "createSession", **login)
    assert status == 200
    claims = msgspec.json.decode(base64.urlsafe_b64decode(session["accessJwt"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 7_200
    status, rotated = _post(http, sample_server, "refreshSession", session["refreshJwt"])
    assert status == 200
    assert rotated["refreshJwt"] != session["refreshJwt"]
    revoked = (400, {"error": "ExpiredToken", "message": "Token has been revoked"})
    assert _post(http, sample_server, "refreshSession", session["refreshJwt"]) == revoked
    sample_server.sessions.revoke_all()
    assert _post(http, sample_server, "refreshSession", rotated["refreshJwt"]) == revoked
    wrong = _post(http, sample_server, "createSession", identifier="mara.bsky.test", password="guess")
    assert (wrong[0], wrong[1]["error"]) == (401, "AuthenticationRequired")


def test_tokens_run_out(sample_server: SampleServer, http: urllib3.PoolManager) -> None:
    sample_server.sessions.access_seconds = -1
    login = {"identifier": "mara.bsky.test", "password": sample_server.sessions.app_password}
    _, session = _post(http, sample_server, "createSession", **login)
    for url in ("com.atproto.server.getSession", f"{FEED}?actor=leo.bsky.test"):
        headers = {"Authorization": f"Bearer {session['accessJwt']}"}
        response = http.request("GET", f"{sample_server.url}/xrpc/{url}", headers=headers)
        assert (response.status, response.json()["error"]) == (400, "ExpiredToken")


def test_who_is_logged_in_cannot_read_who_blocks_them(
    world: World, sample_server: SampleServer, http: urllib3.PoolManager
) -> None:
    errors = {}
    for name, other in (("mara", "aloof"), ("aloof", "mara")):
        login = {"identifier": f"{name}.bsky.test", "password": sample_server.sessions.app_password}
        _, session = _post(http, sample_server, "createSession", **login)
        response = http.request(
            "GET",
            f"{sample_server.url}/xrpc/{FEED}?actor={world.actor(other).did}",
            headers={"Authorization": f"Bearer {session['accessJwt']}"},
        )
        errors[name] = (response.status, response.json()["error"])
    assert errors == {"mara": (400, "BlockedByActor"), "aloof": (400, "BlockedActor")}


def test_what_is_served_fits_the_lexicon_but_for_what_is_broken_on_purpose(
    world: World, sample_server: SampleServer, ask: Ask
) -> None:
    from atproto_client import models  # noqa: PLC0415 - as above

    strict = {"strict_string_format": True}
    sample_server.day = 5
    day = world.on(5)
    broken: set[str] = set()
    for item in day.listed(world.packs[0].list):
        for served in _pages(ask, sample_server, FEED, "feed", actor=item.subject, limit=100)[:120]:
            try:
                models.AppBskyFeedDefs.FeedViewPost.model_validate(served, context=strict)
                models.AppBskyFeedPost.Record.model_validate(served["post"]["record"], context=strict)
            except (ValueError, AttributeError, TypeError):  # the SDK's own checks trip over numbers
                broken.add(served["post"]["uri"])
    assert broken == {
        post.uri
        for item in day.listed(world.packs[0].list)
        for post in (one.post for one in day.feed(item.subject)[:120])
        # The lexicon does not ask for counts.
        if post.defect not in (None, Defect.COUNTS_MISSING)
    }
    assert len(broken) >= len(Defect) - 1
    for pack in world.packs:
        _, body = ask(sample_server, "app.bsky.graph.getStarterPack", starterPack=pack.uri)
        models.AppBskyGraphGetStarterPack.Response.model_validate(body, context=strict)
        models.AppBskyGraphStarterpack.Record.model_validate(body["starterPack"]["record"], context=strict)
        _, body = ask(sample_server, LIST, list=pack.list.uri)
        models.AppBskyGraphGetList.Response.model_validate(body, context=strict)
        _, body = ask(sample_server, PROFILES, actors=[item["subject"]["did"] for item in body["items"][:25]])
        models.AppBskyActorGetProfiles.Response.model_validate(body, context=strict)
    _, body = ask(sample_server, "com.atproto.repo.listRecords", repo="mara.bsky.test", collection="app.bsky.feed.post")
    models.ComAtprotoRepoListRecords.Response.model_validate(body, context=strict)


@pytest.mark.slow
def test_it_can_be_started_from_the_command_line(http: urllib3.PoolManager) -> None:
    command = [sys.executable, "-m", "pipelines.sample", "--day", "3", "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = line.strip().rpartition(":")[2]
        try:
            assert "day 3" in line
            assert http.request("GET", f"http://127.0.0.1:{port}/xrpc/{FEED}?actor=mara.bsky.test").status == 200
            second = subprocess.run([*command, port], capture_output=True, text=True, cwd=PROJECT, check=False)
        finally:
            process.terminate()
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"Cannot listen on port {port}" in second.stderr
