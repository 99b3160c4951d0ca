"""What names a person goes, out of texts, JSON and rows; what stands beside stays as it was."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.forgotten import Forgotten
from pipelines.lake.scrubbing import FORGOTTEN_DID, FORGOTTEN_HANDLE, Scrubber, table_of
from pipelines.lake.tables import AUTHOR_FEED, MEMBER_RECORDS, REPO_EVENTS, STARTER_PACK_MEMBERS

DID = "did:plc:mpyqgmifpweqk32rnmzeisfp"
OTHER = "did:plc:sacypzhn6s6cudpvtzs22c64"
HANDLE = "nils.example.org"
POST = "app.bsky.feed.post"
BY_NAME = Scrubber.of({DID, HANDLE})
BY_HASH = Forgotten().with_people({DID, HANDLE}).scrubber
assert BY_HASH is not None

names = st.sampled_from(
    [
        DID,
        HANDLE,
        f"@{HANDLE}",
        HANDLE.upper(),
        f"at://{DID}/app.bsky.feed.post/3k",
        DID.replace(":", "%3A"),
        DID.replace(":", "%3a"),
        f"https://bsky.app/profile/{DID}/post/3k",
        f"https://www.{HANDLE}/a?b=c",
    ]
)
plain = st.text(max_size=12) | st.sampled_from(
    [OTHER, "mara.bsky.test", f"{HANDLE}x", "app.bsky.feed.post", "https://bsky.app/x"]
)
texts = st.lists(plain | names, max_size=4).map(" ".join)
keys = st.sampled_from(["text", "did", "uri", "handle", "$type", "facets", "a", ""]) | plain
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def names_them(value: object) -> bool:
    written = json.dumps(value, ensure_ascii=False).lower().replace("%3a", ":").replace(f"{HANDLE}x", "")
    return DID in written or HANDLE in written


def expected(value: Any) -> Any:
    """What stays of JSON: the same, but for values that name them, and for what stands beside."""
    match value:
        case str():
            return ... if names_them(value) else value
        case list():
            return [expected(inner) for inner in value]
        case dict() if any(isinstance(value.get(key), str) and names_them(value[key]) for key in ("did", "uri")):
            return ...
        case dict():
            return {... if names_them(key) else key: expected(inner) for key, inner in value.items()}
    return value


def agrees(found: Any, wanted: Any) -> bool:
    match wanted:
        case _ if wanted is ...:
            return True
        case list():
            return len(found) == len(wanted) and all(map(agrees, found, wanted))
        case dict() if ... in wanted:
            return True
        case dict():
            return found.keys() == wanted.keys() and all(agrees(found[key], wanted[key]) for key in wanted)
    return bool(type(found) is type(wanted) and found == wanted)


@given(values, st.booleans(), st.sampled_from([BY_NAME, BY_HASH]))
def test_json_names_nobody_after_it_and_the_rest_is_as_it_was(value: Any, is_ascii: bool, scrubber: Scrubber) -> None:
    raw = json.dumps(value, ensure_ascii=is_ascii)
    scrubbed = scrubber.json(raw)
    if not names_them(value):
        assert scrubbed == raw, "byte for byte"
        return
    if scrubbed is None:
        return  # a lone surrogate, which is no JSON for most readers
    after = json.loads(scrubbed)
    assert not names_them(after)
    assert agrees(after, expected(value))
    assert scrubber.json(scrubbed) == scrubbed


@given(texts)
def test_a_text_keeps_its_bytes_count_so_that_facets_stay_true(text: str) -> None:
    after = BY_NAME.text(text)
    assert len(after.encode()) == len(text.encode())
    assert not names_them(after)
    if not names_them(text):
        assert after == text


@given(st.lists(plain | names | st.sampled_from(["İ", "-", "_", "%", ":", "\\", " "]), max_size=6).map("".join))
def test_whoever_knows_their_names_finds_what_is_found_by_their_hashes(text: str) -> None:
    assert BY_HASH is not None
    assert BY_NAME.finds(text) == BY_HASH.finds(text)
    assert BY_NAME.value(text) == BY_HASH.value(text)


def test_letters_written_as_numbers_are_letters() -> None:
    raw = '{"a":"\\u0064id:plc:mpyqgmifpweqk32rnmzeisfp","b":1.50}'
    assert json.loads(BY_NAME.json(raw) or "") == {"a": FORGOTTEN_DID, "b": 1.5}
    assert '"b":1.50' in (BY_NAME.json(raw) or "")


def test_hyphens_around_a_name_are_no_part_of_it() -> None:
    assert BY_NAME.text(f"- see -{HANDLE}- and {HANDLE}-") == f"- see {'_' * 18} and {'_' * 17}"
    assert BY_NAME.text(f"x-{HANDLE} {HANDLE}-x") == f"x-{HANDLE} {HANDLE}-x"


@pytest.mark.parametrize("scrubber", [BY_NAME, BY_HASH])
@pytest.mark.parametrize(
    ("text", "after"),
    [
        (f"thanks to {HANDLE}.And to all", f"thanks to {'_' * 16}.And to all"),
        (f"{HANDLE}.And.So.on", f"{'_' * 16}.And.So.on"),
        (f"{HANDLE}--and", f"{'_' * 16}--and"),
        (f"so--{HANDLE}--and--{HANDLE}---", f"so--{'_' * 16}--and--{'_' * 16}---"),
        (f"é {HANDLE}--é", f"é {'_' * 18}é"),
        (f"see https://a.example/{HANDLE}.And", f"see {'_' * 38}"),
    ],
)
def test_a_name_ends_where_readers_see_its_end(text: str, after: str, scrubber: Scrubber) -> None:
    assert scrubber.text(text) == after
    raw = json.dumps({"text": text})
    assert json.loads(scrubber.json(raw) or "")["text"] == after
    for other in (f"d{HANDLE}", f"a.{HANDLE}", f"so.{HANDLE}"):
        assert scrubber.json(raw.replace(HANDLE, other)) == raw.replace(HANDLE, other)


@pytest.mark.parametrize(
    "name",
    [
        f"{HANDLE}.and",
        f"{HANDLE}-x",
        f"{HANDLE}x",
        "Nils.Example.Org.Br",
        f"xn--{HANDLE}",
        f"xn----{HANDLE}",
        f"a.XN--{HANDLE}",
    ],
)
def test_a_longer_name_is_another(name: str) -> None:
    assert not BY_NAME.finds(f"see {name} and https://{name}/")


@pytest.mark.parametrize("handle", ["app.bsky.feed.post", "fm.teal.feed.play"])
def test_the_name_of_a_type_is_nobodys_whoever_has_it_as_a_handle(handle: str) -> None:
    post = {"$type": handle, "text": "hello", "uri": f"at://{OTHER}/{handle}/3k", "via": {"$type": f"{handle}#via"}}
    raw = json.dumps(post, separators=(",", ":"))
    known = {"did": OTHER, "collection": handle, "uri": post["uri"], "subject_uri": post["uri"], "rkey": "3k"}
    for scrubber in (Scrubber.of({DID, handle}), Forgotten().with_people({DID, handle}).scrubber):
        assert scrubber is not None
        assert scrubber.json(raw) == raw
        event = row(REPO_EVENTS, **known, raw=raw)
        assert scrubber.row(REPO_EVENTS, event) == event
        item = row(AUTHOR_FEED, member_did=OTHER, post_uri=post["uri"], text="hello", raw=raw)
        assert scrubber.row(AUTHOR_FEED, item) == item
        text = f"at @{handle}, https://bsky.app/profile/{handle}"
        assert handle not in scrubber.text(text)
        assert json.loads(scrubber.json(json.dumps({"handle": handle})) or "") == {"handle": FORGOTTEN_HANDLE}
        taken = scrubber.row(AUTHOR_FEED, row(AUTHOR_FEED, author_did=OTHER, author_handle=handle, text="mine"))
        assert taken == row(AUTHOR_FEED, author_did=OTHER, author_handle=FORGOTTEN_HANDLE, text="mine")


def test_a_constant_of_the_protocol_is_nobodys_name_wherever_it_stands() -> None:
    handle = "app.bsky.feed.post"
    scrubber = Scrubber.of({DID, handle})
    asked = {handle: 1, "lxm": handle, "text": f"https://pds.example/xrpc/get?collection={handle}&a=1"}
    assert scrubber.json(json.dumps(asked)) == json.dumps(asked)
    with_them = json.loads(scrubber.json(json.dumps({**asked, "by": DID})) or "")
    assert with_them == {**asked, "by": FORGOTTEN_DID}


@pytest.mark.parametrize("before", ["\n", "\t", "\r", "\u200b", "é", "…", '"'])
@pytest.mark.parametrize("is_ascii", [True, False])
@pytest.mark.parametrize("scrubber", [BY_NAME, BY_HASH])
def test_a_name_begins_where_an_escape_ends(before: str, is_ascii: bool, scrubber: Scrubber) -> None:
    raw = json.dumps({"record": {"text": f"thanks{before}{HANDLE} and others"}}, ensure_ascii=is_ascii)
    for kept in (scrubber.json(raw), (scrubber.row(AUTHOR_FEED, row(AUTHOR_FEED, raw=raw)) or {})["raw"]):
        assert json.loads(kept or "")["record"]["text"] == f"thanks{before}________________ and others"


@pytest.mark.parametrize("scrubber", [BY_NAME, BY_HASH])
@pytest.mark.parametrize(
    "address",
    [
        f"https://bsky.app/profile/%40{HANDLE}",
        f"https://skyview.social/?url=https%3A%2F%2Fbsky.app%2Fprofile%2F{HANDLE}%2Fpost%2F3k&viewtype=tree",
        f"https://a.example/?u=https%253A%252F%252Fbsky.app%252Fprofile%252F{HANDLE}%252Fpost",
        f"https://a.example/?u=https%3A%2F%2Fwww.{HANDLE}",
        f"https://a.example/?u={DID.replace(':', '%253A')}",
    ],
)
def test_an_address_within_an_address_is_read(scrubber: Scrubber, address: str) -> None:
    assert scrubber.value(address) == "https://forgotten.invalid/"
    assert scrubber.value(f"see {address}!") == "see " + "_" * len(f"{address}!")
    without_scheme = address.removeprefix("https://")
    assert not names_them(scrubber.value(f"see {without_scheme}").replace("%253A", ":"))
    assert scrubber.value(address.replace(HANDLE, f"x{HANDLE}").replace(DID[-3:], "abc")).startswith("https://")


def test_a_long_address_takes_no_longer_than_its_length() -> None:
    begun = time.process_time()
    assert not Scrubber(lambda _: False).finds(f"x.y%{'25' * 100_000}")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("inner", [f"{HANDLE} é " * 20_000, f"x{HANDLE} \\n " * 20_000, "a.A" * 100_000 + HANDLE])
def test_json_takes_no_longer_than_its_length_however_deep_it_is(inner: str) -> None:
    raw = '{"a":[' * 45 + json.dumps({"text": inner, "by": DID}, ensure_ascii=False) + "]}" * 45
    begun = time.process_time()
    after = BY_NAME.json(raw)
    assert time.process_time() - begun < 2
    assert after is not None
    assert not BY_NAME.finds(after)


@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_json_that_is_deeper_than_is_read_goes_as_a_whole_if_it_names_them(depth: int) -> None:
    raw = "[" * depth + f'"{DID}"' + "]" * depth
    assert BY_NAME.json(raw) is None
    assert BY_NAME.json(raw.replace(DID, OTHER)) == raw.replace(DID, OTHER)
    nobody = "[" * 900 + "]" * 900
    assert json.loads(BY_NAME.json(f'{{"a":{nobody},"by":"{DID}"}}') or "")["by"] == FORGOTTEN_DID
    kept = BY_NAME.row(AUTHOR_FEED, row(AUTHOR_FEED, member_did=OTHER, text="hello", raw=raw))
    assert kept == row(AUTHOR_FEED, member_did=OTHER, text="hello")


def test_what_is_no_json_goes_as_a_whole() -> None:
    assert BY_NAME.json(f"{DID} {{") is None
    assert BY_NAME.json("{ whatever") == "{ whatever"


def test_a_mention_by_a_handle_that_nobody_knows_any_more_goes_with_its_facet() -> None:
    text = "é @nils.old.example hello"
    begin = len("é ".encode())
    facet = {
        "index": {"byteStart": begin, "byteEnd": begin + len("@nils.old.example")},
        "features": [{"$type": "app.bsky.richtext.facet#mention", "did": DID}],
    }
    after = json.loads(BY_NAME.json(json.dumps({"text": text, "facets": [facet]})) or "")
    assert after["text"] == "é _________________ hello"
    assert after["facets"][0]["index"] == facet["index"]
    assert after["facets"][0]["features"] == [{"$type": "app.bsky.richtext.facet#mention", "did": FORGOTTEN_DID}]


def test_a_quote_keeps_nothing_of_the_quoted_post_and_all_of_the_quoting_one() -> None:
    quoted = {
        "$type": "app.bsky.embed.record#viewRecord",
        "uri": f"at://{DID}/app.bsky.feed.post/3k",
        "cid": "bafy1",
        "author": {"did": DID, "handle": HANDLE, "displayName": "Nils Aaberg"},
        "value": {"text": "their words"},
    }
    post = {"uri": f"at://{OTHER}/app.bsky.feed.post/3q", "author": {"did": OTHER}, "record": {"text": "so"}}
    item = {"post": {**post, "embed": {"record": quoted}, "likeCount": 3}}
    after = json.loads(BY_NAME.json(json.dumps(item)) or "")
    stub = {"$type": quoted["$type"], "uri": f"at://{FORGOTTEN_DID}/app.bsky.feed.post/forgotten"}
    assert after == {"post": {**post, "embed": {"record": stub}, "likeCount": 3}}


def row(table: Any, **columns: Any) -> dict[str, Any]:
    return dict.fromkeys(table.schema.names) | columns


def test_a_repost_of_theirs_stays_the_reposter_s_without_the_post() -> None:
    mine = {"member_did": OTHER, "item_uri": f"at://{OTHER}/app.bsky.feed.repost/3r", "reason_type": "repost"}
    theirs = {"author_handle": HANDLE, "author_display_name": "Nils Aaberg", "text": "their words", "like_count": 7}
    of_whom = {"author_did": DID, "post_uri": f"at://{DID}/app.bsky.feed.post/3k"}
    of_nobody = {"author_did": FORGOTTEN_DID, "post_uri": f"at://{FORGOTTEN_DID}/app.bsky.feed.post/forgotten"}
    after = BY_NAME.row(AUTHOR_FEED, row(AUTHOR_FEED, **mine, **theirs, **of_whom))
    assert after == row(AUTHOR_FEED, **mine, **of_nobody)


@pytest.mark.parametrize("scrubber", [BY_NAME, BY_HASH])
def test_whoever_takes_their_handle_keeps_their_own_posts(scrubber: Scrubber) -> None:
    uri = f"at://{OTHER}/app.bsky.feed.post/3k"
    own = {"member_did": OTHER, "author_did": OTHER, "post_uri": uri, "item_uri": uri, "text": "mine", "like_count": 3}
    after = scrubber.row(AUTHOR_FEED, row(AUTHOR_FEED, **own, author_handle=HANDLE))
    assert after == row(AUTHOR_FEED, **own, author_handle=FORGOTTEN_HANDLE)
    nobody = scrubber.row(AUTHOR_FEED, row(AUTHOR_FEED, member_did=OTHER, author_handle=HANDLE, text="theirs"))
    assert (nobody or {})["text"] is None


@pytest.mark.parametrize(
    ("table", "columns", "stays"),
    [
        (AUTHOR_FEED, {"member_did": DID}, False),
        (AUTHOR_FEED, {"member_did": OTHER, "text": "hello"}, True),
        (STARTER_PACK_MEMBERS, {"did": OTHER, "pack_uri": f"at://{DID}/app.bsky.graph.starterpack/3p"}, False),
        (STARTER_PACK_MEMBERS, {"did": DID, "pack_uri": f"at://{OTHER}/app.bsky.graph.starterpack/3p"}, False),
        (REPO_EVENTS, {"kind": "commit", "did": OTHER, "subject_uri": DID}, True),
        (REPO_EVENTS, {"kind": "unreadable", "raw": f"{{{DID}"}, False),
        (MEMBER_RECORDS, {"member_did": DID, "subject_did": OTHER, "is_gone": False}, False),
        (MEMBER_RECORDS, {"member_did": OTHER, "subject_did": DID, "raw": f'{{"subject":"{DID}"}}'}, True),
        (MEMBER_RECORDS, {"member_did": OTHER, "subject_did": DID, "subject_uri": f"at://{DID}/{POST}/3k"}, True),
    ],
)
def test_rows_of_theirs_go_and_rows_of_others_stay(table: Any, columns: dict[str, Any], stays: bool) -> None:
    for scrubber in (BY_NAME, BY_HASH):
        after = scrubber.row(table, row(table, **columns))  # type: ignore[union-attr]
        assert (after is not None) == stays
        assert after is None or not names_them(after)


def test_a_like_of_theirs_stays_the_liker_s_without_the_post() -> None:
    uri = f"at://{OTHER}/app.bsky.feed.like/3l"
    raw = json.dumps({"subject": {"uri": f"at://{DID}/{POST}/3k", "cid": "bafypost"}, "createdAt": "2026-03-01"})
    like = row(
        MEMBER_RECORDS, uri=uri, member_did=OTHER, subject_did=DID, subject_uri=f"at://{DID}/{POST}/3k",
        subject_cid="bafypost", cid="bafylike", raw=raw,
    )  # fmt: skip
    after = BY_HASH.row(MEMBER_RECORDS, like) or {}  # type: ignore[union-attr]
    assert (after["uri"], after["cid"], after["subject_did"]) == (uri, "bafylike", FORGOTTEN_DID)
    assert "bafypost" not in str(after)
    assert json.loads(after["raw"])["createdAt"] == "2026-03-01"


def test_a_link_to_them_goes_with_its_card() -> None:
    linked = row(
        AUTHOR_FEED, member_did=OTHER, link_uri=f"https://bsky.app/profile/{HANDLE}", link_title="Nils", text="x"
    )
    after = BY_NAME.row(AUTHOR_FEED, linked) or {}
    assert (after["link_uri"], after["link_title"], after["text"]) == ("https://forgotten.invalid/", None, "x")


def test_rows_keep_their_schema() -> None:
    rows = table_of([row(REPO_EVENTS, kind="identity", did=OTHER, handle=HANDLE)], REPO_EVENTS.schema)
    after = BY_NAME.table(REPO_EVENTS, rows)
    assert after.schema.equals(REPO_EVENTS.schema, check_metadata=True)
    assert after["handle"].to_pylist() == [FORGOTTEN_HANDLE]
