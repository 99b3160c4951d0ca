"""A data set that is handed on as URIs: rows again for whoever asks, less what was deleted meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipelines import bluesky
from pipelines.hydration import read_posts, without_left_alone
from pipelines.lake.bucket import LakeError
from tests.conftest import isolated_lake
from tests.exports.conftest import PUBLISHABLE_POSTS

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.exports.conftest import Exporting

LATER = 40
"""A day of the sample on which some of the posts are gone."""


@pytest.fixture(scope="module")
def ids(exporting: Exporting) -> Path:
    return exporting.run("uris", "ids")


def test_it_says_what_it_is_and_from_when(exporting: Exporting, ids: Path) -> None:
    package = json.loads((ids / "ids.datapackage.json").read_text(encoding="utf-8"))
    (known,) = exporting.marts.rows(f"select count(*) as posts, min(posted_date) as first from ({PUBLISHABLE_POSTS})")
    assert f"{known['posts']:,} posts from {known['first']} to " in package["description"]
    assert read_posts(ids / "post_uris.csv").bad_lines == []
    assert len(read_posts(ids / "post_uris.csv").questions) == known["posts"]


def test_rows_come_back_less_what_was_deleted(
    world: World, exporting: Exporting, ids: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, *uris = (ids / "post_uris.csv").read_text(encoding="utf-8").splitlines()
    posts = world.on(LATER).posts
    gone = [uri for uri in uris if uri not in posts]
    chosen = [*gone[:30], *uris[::40]]
    there = {uri for uri in chosen if uri in posts}
    assert set(chosen) - there
    file = tmp_path / "posts.csv"
    file.write_text("\n".join(["post_uri", *chosen, "at://handle.test/app.bsky.feed.post/1", *chosen[:2], ""]))
    with isolated_lake(tmp_path / "other") as lake:
        lake.pipeline_name = "bluesky_sample"
        exit_code = bluesky.main(["--sample", "--day", str(LATER), "--posts", str(file), "--no-transform"])
        rows = lake.query("select post_uri, author_did, text, member_did from author_feed")
        checks = lake.query("select uri, outcome from record_checks where asked_because = 'named_in_file'")
    output = capsys.readouterr().out
    shown = {row["post_uri"] for row in rows}
    assert shown <= there
    # Whoever has gone, or asks to be hidden from whoever is not logged in, is not shown either.
    assert len(shown) > 0.9 * len(there)
    assert {check["uri"] for check in checks} == set(chosen)
    assert {check["uri"] for check in checks if check["outcome"] == "shown"} == shown
    assert {row["post_uri"]: row["text"] for row in rows} == {uri: posts[uri].text for uri in shown}
    assert {row["author_did"] for row in rows} == {row["member_did"] for row in rows}
    assert exit_code == 2
    assert f"{len(shown):,} of {len(set(chosen)):,} are there" in output
    assert "record_gone" in output
    assert f"no at:// URI of a post: line {len(chosen) + 2}" in output


@pytest.mark.parametrize(
    ("line", "is_good"),
    [
        ("at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3kabc", True),
        ('"at://did:web:x.test/app.bsky.feed.post/3kabc"', True),
        ("at://did:plc:a/app.bsky.feed.repost/3kabc", False),
        ("at://ada.test/app.bsky.feed.post/3kabc", False),
        ("post_uri", False),
        ("at://did:plc:a/app.bsky.feed.post/3k abc", False),
    ],
)
def test_a_line_names_a_post_or_is_named(tmp_path: Path, line: str, is_good: bool) -> None:
    good = "at://did:plc:bbbbbbbbbbbbbbbbbbbbbbbb/app.bsky.feed.post/3kabc"
    (tmp_path / "posts").write_text(f"post_uri\n{line}\n{good}\n", encoding="utf-8-sig")
    file = read_posts(tmp_path / "posts")
    assert (len(file.questions), file.bad_lines) == ((2, []) if is_good else (1, [2]))


def test_nobody_asks_for_posts_of_who_opted_out_or_is_in_a_block(exporting: Exporting, tmp_path: Path) -> None:
    opted_out = {row["did"] for row in exporting.marts.rows("select did from int_opted_out_authors")}
    blocked = exporting.marts.rows("select did from int_publishable_authors where withheld_because = 'in_a_block'")
    assert opted_out
    assert blocked
    alone = [*opted_out, *(row["did"] for row in blocked)]
    members = [row["did"] for row in exporting.marts.rows("select did from rpt_members")]
    (tmp_path / "posts").write_text("\n".join(f"at://{did}/app.bsky.feed.post/3kabc" for did in [*alone, *members]))
    file = without_left_alone(read_posts(tmp_path / "posts"), "bluesky_sample")
    assert [question.did for question in file.questions] == members


@pytest.mark.parametrize("content", ["", "post_uri\n", "hello\n"])
def test_a_file_that_names_no_post_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "posts").write_text(content)
    with pytest.raises(LakeError, match="names no post: write the at:// URI"):
        read_posts(tmp_path / "posts")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "posts").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LakeError, match="is not UTF-8"):
        read_posts(tmp_path / "posts")
    with pytest.raises(LakeError, match="cannot be read: No such file"):
        read_posts(tmp_path / "none")
