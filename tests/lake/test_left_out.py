"""Who is left out is read from three places alike; who is not found stops publishing, and who was found stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipelines.lake.bucket import LakeError, use_project_settings
from pipelines.lake.forgotten import Forgotten, write_forgotten
from pipelines.lake.left_out import Found, Named, forget_left_out, keep_found, read_left_out
from pipelines.lake.scrubbing import Scrubber
from pipelines.left_out import find_left_out
from pipelines.network.appview import AppView
from pipelines.network.pacing import Pacer
from tests.spellings import DID, DID_SPELLINGS, HANDLE

OTHER = "did:plc:otherotherotherotherothe"

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake


def people(lake: Lake) -> Path:
    folder = lake.dataset.parent / "people"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def configure(patch: pytest.MonkeyPatch, value: str) -> None:
    patch.setenv("SOURCES__BLUESKY__LEFT_OUT", value)
    use_project_settings()


def test_nobody_is_left_out_by_the_settings_that_are_shipped(lake: Lake) -> None:
    left_out = read_left_out(lake.pipeline_name)
    assert (left_out.dids, left_out.unresolved, left_out.rows()) == (frozenset(), (), [])


@pytest.mark.parametrize("value", [f'["{DID}"]', DID, f"@{HANDLE}, {DID}", f"['{DID}']", f'["", "{DID}"]'])
def test_a_list_and_a_plain_text_name_the_same_person(lake: Lake, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    configure(monkeypatch, value)
    assert read_left_out(lake.pipeline_name).dids == {DID}


@pytest.mark.parametrize("value", ["12", "true", "[1]", "[null]", '{"a": 1}', "Alice", f'["{DID}", "Alice"]'])
def test_what_is_no_name_is_unresolved(lake: Lake, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    configure(monkeypatch, value)
    left_out = read_left_out(lake.pipeline_name)
    assert left_out.unresolved
    assert {"did": None, "name": left_out.unresolved[0].place} in left_out.rows()


@pytest.mark.parametrize("value", [[DID], DID, f" @{DID.upper()} ", (DID,), DID_SPELLINGS])
def test_the_variable_of_dbt_is_read_by_the_same_rules(lake: Lake, value: object) -> None:
    left_out = read_left_out(lake.pipeline_name, value)
    assert left_out.dids == {DID}
    assert left_out.unresolved == ()


def test_a_handle_that_dbt_alone_is_given_says_that_nobody_looks_it_up(lake: Lake) -> None:
    [name] = read_left_out(lake.pipeline_name, [DID, f"@{HANDLE}"]).unresolved
    assert str(name) == (
        "Name 2 of dbt's variable unpublished_dids in --vars is a handle, and nobody looks up who has it there: write"
        " the person's DID, or name them in left_out."
    )
    keep_found(lake.pipeline(), Found({HANDLE: OTHER}))
    assert read_left_out(lake.pipeline_name, [f"@{HANDLE}"]).dids == {OTHER}, "where a job has found them before"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_file_has_a_name_a_line_and_comments(lake: Lake, encoding: str) -> None:
    text = f"# {HANDLE}: asked by mail\r\n\r\n{DID}   # since May\r\nhttps://bsky.app/profile/{DID}#top\r\nAlice B\r\n"
    (people(lake) / "left_out.txt").write_bytes(text.encode(encoding))
    left_out = read_left_out(lake.pipeline_name)
    assert left_out.dids == {DID}
    [name] = left_out.unresolved
    assert str(name).startswith("Line 5 of people/left_out.txt in the bucket names ")


def test_no_message_holds_a_name(lake: Lake) -> None:
    (people(lake) / "left_out.txt").write_text(f"{HANDLE}\nAlice\n", encoding="utf-8")
    told = " ".join(map(str, read_left_out(lake.pipeline_name, ["Bob"]).unresolved))
    assert "Line 1" in told
    assert "Line 2" in told
    assert not any(name in told for name in (HANDLE, "Alice", "Bob"))


def test_a_file_that_is_no_text_names_somebody_unknown(lake: Lake) -> None:
    (people(lake) / "left_out.txt").write_bytes(b"\xe9t\xe9.example.com")
    assert read_left_out(lake.pipeline_name).unresolved == (
        Named("people/left_out.txt in the bucket, which is not UTF-8,", None),
    )


def test_a_memory_that_cannot_be_read_is_an_error(lake: Lake) -> None:
    (people(lake) / "left_out.json").write_text("{", encoding="utf-8")
    with pytest.raises(LakeError, match=r"people/left_out\.json"):
        read_left_out(lake.pipeline_name)


def test_whoever_is_forgotten_is_on_no_list_and_stops_nobody_from_publishing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    (people(lake) / "left_out.txt").write_bytes(f"# by mail\n@{HANDLE.upper()}\nother.example.com\n".encode("utf-16"))
    keep_found(
        lake.pipeline(), Found({HANDLE: DID, "other.example.com": OTHER}, {DID: [HANDLE], OTHER: ["other.example.com"]})
    )
    configure(monkeypatch, HANDLE)
    write_forgotten(lake.pipeline(), Forgotten().with_people([DID, HANDLE]))
    forget_left_out(lake.pipeline(), Scrubber.of([DID, HANDLE]))
    left_out = read_left_out(lake.pipeline_name)
    assert left_out.dids == {OTHER}
    assert left_out.unresolved == ()
    kept = "".join(path.read_text(encoding="utf-8").lower() for path in people(lake).iterdir())
    assert HANDLE not in kept
    assert DID not in kept


def test_no_setting_of_the_real_network_reaches_the_sample(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, DID)
    assert read_left_out("bluesky_sample").names == ()


def test_a_handle_is_resolved_once_and_stays_with_the_person(
    lake: Lake, world: World, sample_server: SampleServer
) -> None:
    """Jonas gave his handle up, and Leo has it since day 6 of the sample."""
    jonas = world.actor("jonas")
    (people(lake) / "left_out.txt").write_text("@Jonas.bsky.test\nnobody.bsky.test\n", encoding="utf-8")
    pipeline, appview = lake.pipeline(), AppView(sample_server.url, Pacer(10_000))
    sample_server.day = 1
    found = find_left_out(pipeline, appview)
    assert found.dids == {jonas.did}
    assert [name.place for name in found.unresolved] == ["Line 2 of people/left_out.txt in the bucket"]
    sample_server.day = 7
    again = find_left_out(pipeline, appview)
    assert again.dids == {jonas.did}, "and not Leo"
    kept = json.loads((people(lake) / "left_out.json").read_text(encoding="utf-8"))
    assert kept["dids"] == {"jonas.bsky.test": jonas.did}
    assert kept["handles"] == {jonas.did: ["ahrens-data.test", "jonas.bsky.test"]}
    asked = [request.nsid for request in sample_server.requests if "resolveHandle" in request.nsid]
    assert len(asked) == 3, "jonas.bsky.test once, nobody.bsky.test each night"
    assert read_left_out(lake.pipeline_name).rows() == again.rows()


def test_somebody_who_cannot_be_asked_for_stays_under_the_names_that_are_known(lake: Lake) -> None:
    (people(lake) / "left_out.txt").write_text(DID, encoding="utf-8")
    keep_found(lake.pipeline(), Found(handles={DID: [HANDLE]}))
    nobody = AppView("http://127.0.0.1:9", Pacer(10_000), max_attempts=1)
    assert {row["name"] for row in find_left_out(lake.pipeline(), nobody).rows()} == {DID, HANDLE}


def test_whom_the_lake_never_saw_costs_no_request_where_nobody_is_left_out(
    lake: Lake, sample_server: SampleServer
) -> None:
    find_left_out(lake.pipeline(), AppView(sample_server.url, Pacer(10_000)))
    assert sample_server.requests == []
    assert not (lake.dataset.parent / "people").exists()
