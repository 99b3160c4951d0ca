"""The client against Bluesky's own AppView, PDS and PLC directory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.network.appview import (
    AccountDeactivated,
    AccountSuspended,
    ActorNotFound,
    AppView,
    RecordNotFound,
)
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.network.resolve import resolve_pack

HIDDEN = {
    "sleepy": AccountDeactivated,
    "banned": AccountSuspended,
    "modded": AccountSuspended,
    "leaver": ActorNotFound,
}


@pytest.fixture
def appview(atnet: dict[str, Any]) -> AppView:
    return AppView(atnet["appview"], Pacer(100))


def test_the_creators_server_knows_the_members_that_the_appview_hides(atnet: dict[str, Any], appview: AppView) -> None:
    list_uri = atnet["records"]["list"]
    shown = {json.loads(bytes(item))["subject"]["did"] for page in appview.list_pages(list_uri) for item in page.items}
    repositories = Repositories(appview, atnet["plc"])
    records = repositories.list_item_records(atnet["accounts"]["curator"]["did"], list_uri)
    members = {json.loads(bytes(record))["value"]["subject"] for record in records}
    assert (len(shown), len(members)) == (8, 12)
    assert members - shown == {atnet["accounts"][name]["did"] for name in HIDDEN}


@pytest.mark.parametrize("name", HIDDEN)
def test_the_unavailable_are_told_apart(atnet: dict[str, Any], appview: AppView, name: str) -> None:
    did = atnet["accounts"][name]["did"]
    with pytest.raises(ActorNotFound):
        appview.feed_page(did)
    with pytest.raises(HIDDEN[name]):
        appview.profile(did)


def test_a_pack_is_found_by_the_handle_of_its_creator(atnet: dict[str, Any], appview: AppView) -> None:
    uri = atnet["records"]["pack"]
    link = f"https://bsky.app/start/{atnet['accounts']['curator']['handle']}/{uri.rpartition('/')[2]}"
    assert resolve_pack(link, appview) == uri
    assert json.loads(bytes(appview.starter_pack(uri)))["uri"] == uri
    # The service itself answers an unknown handle in a URI with 500; resolved first, it is a plain error.
    with pytest.raises(ActorNotFound):
        resolve_pack("https://bsky.app/start/nobody.test/abc", appview)
    with pytest.raises(RecordNotFound):
        appview.starter_pack(f"{uri}x")


def test_a_did_that_was_never_registered_is_an_actor_not_found(atnet: dict[str, Any], appview: AppView) -> None:
    with pytest.raises(ActorNotFound):
        Repositories(appview, atnet["plc"]).pds_endpoint("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
