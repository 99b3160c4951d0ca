"""An account on the PDS that does all that an account can do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import urllib3

Json = dict[str, Any]

POST: Final = "app.bsky.feed.post"
_ADMIN_PASSWORD: Final = "admin-pass"  # What `@atproto/dev-env` gives its PDS.
_LINK: Final = {"$link": "bafyreih3pvmjr5z2sc3slnrm7tqkmbmc3vc6zzjfrpcvd3bfrtzc7vypxa"}


class Resident:
    """An account of a test's own on the PDS: what it does disturbs nobody else's tests.

    Attributes:
        did: Its DID.
    """

    def __init__(self, atnet: Json) -> None:
        self._pds, self._headers = atnet["pds"], {}
        self._name = f"r{uuid4().hex[:10]}"
        account = {"handle": f"{self._name}.test", "email": f"{self._name}@example.test", "password": self._name}
        session = self._ask("server.createAccount", account)
        self.did = session["did"]
        self._headers = {"Authorization": f"Bearer {session['accessJwt']}"}

    def write(self, *writes: Json) -> list[str]:
        """Write posts in one commit, whatever lexicons say of them; their keys come back.

        Args:
            writes: With `text`, a post: a new one, or the one of `rkey`. Without, the one of `rkey` is deleted.
        """
        results = self.apply(*(_write(dict(write)) for write in writes))
        return [result["uri"].rpartition("/")[2] for result in results if "uri" in result]

    def apply(self, *writes: Json) -> list[Json]:
        """Make writes of `com.atproto.repo.applyWrites`, at most 200, one commit; what each came to comes back."""
        request = {"repo": self.did, "validate": False, "writes": list(writes)}
        results: list[Json] = self._ask("repo.applyWrites", request)["results"]
        return results

    def live_a_little(self) -> None:
        """Create, update and delete records, one by one and many in a commit; change the handle; go and come back."""
        (_, edited, deleted) = (self.write({"text": f"Grüße 🦆 {number}"})[0] for number in range(3))
        self.write({"rkey": edited, "text": "edited"})
        self.write({"rkey": deleted})
        many = self.write(*({"text": f"One of many, {number}"} for number in range(40)))
        self.write(
            *({"rkey": key, "text": "edited with others"} for key in many[:10]),
            *({"rkey": key} for key in many[10:20]),
            *({"text": f"One of others, {number}"} for number in range(10)),
        )
        # What no lexicon knows, and what is written otherwise in CBOR than in JSON.
        self.write({"text": "long " * 20_000, "extra": {"bytes": {"$bytes": "3q2+7w"}, "link": _LINK, "none": None}})
        self._ask("identity.updateHandle", {"handle": f"{self._name}-{uuid4().hex[:4]}.test"})
        self._ask("server.deactivateAccount", {})
        self._ask("server.activateAccount")

    def moderate(self, *, is_down: bool) -> None:
        """Take the account down, or let it come back."""
        subject = {"$type": "com.atproto.admin.defs#repoRef", "did": self.did}
        self._ask_admin("updateSubjectStatus", {"subject": subject, "takedown": {"applied": is_down, "ref": "test"}})

    def leave(self) -> None:
        """Delete the account."""
        self._ask_admin("deleteAccount", {"did": self.did})

    def records(self, collection: str = POST) -> dict[str, tuple[str, Json]]:
        """List what the PDS has: CID and JSON of each record, by URI."""
        found: dict[str, tuple[str, Json]] = {}
        cursor: str | None = ""
        while cursor is not None:
            fields = {"repo": self.did, "collection": collection, "limit": 100} | ({"cursor": cursor} if cursor else {})
            page = urllib3.request("GET", f"{self._pds}/xrpc/com.atproto.repo.listRecords", fields=fields).json()
            found |= {record["uri"]: (record["cid"], record["value"]) for record in page["records"]}
            cursor = page.get("cursor")
        return found

    def _ask(self, method: str, body: Json | None = None) -> Json:
        return post(f"{self._pds}/xrpc/com.atproto.{method}", body, self._headers)

    def _ask_admin(self, method: str, body: Json) -> None:
        post(f"{self._pds}/xrpc/com.atproto.admin.{method}", body, as_admin(_ADMIN_PASSWORD))


def _write(write: Json) -> Json:
    rkey = {"rkey": write.pop("rkey")} if "rkey" in write else {}
    action = "delete" if not write else "update" if rkey else "create"
    value = {"value": {"$type": POST, "createdAt": "2026-03-02T12:00:00Z"} | write} if write else {}
    return {"$type": f"com.atproto.repo.applyWrites#{action}", "collection": POST} | rkey | value


def post(url: str, body: Json | None, headers: dict[str, str]) -> Json:
    answer = urllib3.request("POST", url, json=body, headers=headers, timeout=30)
    assert answer.status == HTTPStatus.OK, (url, answer.status, answer.data)
    found: Json = answer.json() if answer.data else {}
    return found


def as_admin(password: str) -> dict[str, str]:
    return urllib3.make_headers(basic_auth=f"admin:{password}")
