"""Records from the servers that hold them (PDS), including those that the AppView hides."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from pipelines.network import salvage
from pipelines.network.addresses import Outside
from pipelines.network.budgets import Budget, Patience
from pipelines.network.did_documents import LOCALHOST, pds_endpoint_of
from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorNotFound,
    RecordNotFound,
    RequestRejected,
    ServiceFailed,
)
from pipelines.network.identifiers import is_did
from pipelines.network.paging import RawItems, read_cursor
from pipelines.network.signing_key import signing_key_of
from pipelines.network.xrpc import RequestStats, XrpcClient

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator

PLC_DIRECTORY: Final = "https://plc.directory"
PAGE_LIMIT: Final = 100
"""Records a page: the most that the lexicon of listRecords allows."""

_DID_WEB: Final = re.compile(r"did:web:([a-zA-Z0-9.-]+)(?:%3A(\d{1,5}))?", re.ASCII)


class _RecordsBody(msgspec.Struct):
    records: RawItems
    cursor: msgspec.Raw = msgspec.Raw()


class _RecordBody(msgspec.Struct):
    uri: str
    value: dict[str, msgspec.Raw]


class _RepoStatus(msgspec.Struct):
    did: str
    active: bool
    status: str | None = None


class _ListItemValue(msgspec.Struct):
    list: str


class _ListItemRecord(msgspec.Struct):
    uri: str
    value: _ListItemValue


_records_body = msgspec.json.Decoder(_RecordsBody)
_record_body = msgspec.json.Decoder(_RecordBody)
_repo_status = msgspec.json.Decoder(_RepoStatus)
_list_item_record = msgspec.json.Decoder(_ListItemRecord)


def account_budget(patience: Patience) -> Budget:
    """Give what one account may cost a run, its repository aside.

    An account's server is whatever its owner says. Three thousand requests are 300,000 records in pages, and as many as
    Bluesky's own servers allow in the five minutes of their window; twice that leaves room to wait for the next one. A
    gigabyte is three times what such pages hold.

    Args:
        patience: What all accounts share, for what they take beyond a minute.
    """
    return Budget("one account", requests=3_000, size=1024**3, seconds=600, own_seconds=60, patience=patience)


def repository_budget(patience: Patience) -> Budget:
    """Give what one repository may cost a run. At the slowest pace that is taken, 100 MB take half an hour.

    Args:
        patience: What all repositories share, for what they take beyond a minute.
    """
    return Budget("one repository", seconds=1_800, own_seconds=60, patience=patience)


SHARED_SECONDS: Final = 1_800.0
"""What all accounts of a run together may take beyond their minutes; and what all repositories may, which are read one
after the other. Real servers send 180 MB in a minute: who needs more is rare, and due again the next night."""


@dataclass(frozen=True)
class LatestCommit:
    """The commit at the top of a repository.

    Attributes:
        cid: Its CID.
        rev: Revision of the repository: a TID that grows with each commit.
    """

    cid: str
    rev: str


@dataclass(frozen=True)
class _Account:
    """What an account's DID document says: which server holds its records, and what key signs them."""

    endpoint: str
    signing_key: str | None


@dataclass(frozen=True)
class _RecordsPage:
    records: list[msgspec.Raw]
    cursor: str | None
    is_cursor_broken: bool


class Repositories:
    """Reads records from the servers (PDS) that hold them. Each server has a client and a pace of its own.

    Safe to use from several threads. Every method raises a subclass of `NetworkError` when it gets no usable answer.

    Anybody can make an account and say that its server is anywhere. So each account has a budget for the whole run,
    what slow ones take beyond a minute is taken from what they share, and servers are asked at public addresses alone,
    unless the network is the user's own.

    Args:
        client: Gives the servers' clients its settings (pace, attempts, timeouts, User-Agent), but no session.
        plc_directory: Where DIDs of the method `plc` are looked up.
        inside_hosts: Servers that are asked wherever they are, as DID documents write them: `host` or `host:port`.
    """

    def __init__(
        self, client: XrpcClient, plc_directory: str = PLC_DIRECTORY, inside_hosts: Collection[str] = ()
    ) -> None:
        self._settings = client
        self._plc_directory = plc_directory.rstrip("/")
        self._outside = Outside((self._plc_directory, client.service))
        self._inside_hosts = frozenset(host.lower() for host in inside_hosts)
        self._changing = threading.Lock()
        self._clients: dict[str, XrpcClient] = {}
        self._accounts: dict[str, _Account] = {}
        self._budgets: dict[str, Budget] = {}
        self._patience = Patience("all accounts", SHARED_SECONDS)
        self._patience_for_streams = Patience("all repositories", SHARED_SECONDS)

    @property
    def stats(self) -> RequestStats:
        """What the clients of all servers together have done so far."""
        with self._changing:
            return sum((client.stats for client in self._clients.values()), RequestStats())

    def requests_spent_on(self, did: str) -> int:
        """Tell how many requests an account has cost so far."""
        return self._budget(did).request_count

    def pds_endpoint(self, did: str) -> str:
        """Find the server that holds an account's records, from its DID document (https://atproto.com/specs/did).

        Raises:
            ActorNotFound: The DID is not known, or was given up.
        """
        return self._account(did).endpoint

    def signing_key(self, did: str) -> str | None:
        """Find the key that an account signs its repository with, from its DID document.

        Returns:
            The key as a `did:key`; None if the document names none that can be used.

        Raises:
            ActorNotFound: The DID is not known, or was given up.
        """
        return self._account(did).signing_key

    def latest_commit(self, did: str) -> LatestCommit:
        """Ask which commit a repository is at (`com.atproto.sync.getLatestCommit`).

        Raises:
            AccountDeactivated: The server does not serve this repository now; so do AccountSuspended and ActorNotFound.
            MethodNotSupported: The server does not say.
        """
        client = self._client(self.pds_endpoint(did))
        nsid, budget = "com.atproto.sync.getLatestCommit", self._budget(did)
        return client.query(nsid, {"did": did}, _latest_commit.decode, subject=did, budget=budget)

    def repository(self, did: str) -> Generator[bytes]:
        """Read a whole repository (`com.atproto.sync.getRepo`); `repo_proof.proved` tells what it is worth.

        Yields:
            A CAR file in pieces.

        Raises:
            AccountDeactivated: The server does not serve this repository now; so do AccountSuspended and ActorNotFound.
            MethodNotSupported: The server serves no repositories.
        """
        client = self._client(self.pds_endpoint(did))
        nsid, accept = "com.atproto.sync.getRepo", "application/vnd.ipld.car"
        budget = repository_budget(self._patience_for_streams)
        return client.stream(nsid, {"did": did}, accept=accept, subject=did, budget=budget)

    def list_item_records(self, creator_did: str, list_uri: str) -> Iterator[msgspec.Raw]:
        """Read the memberships of a list from its creator's own records (`app.bsky.graph.listitem`).

        Unlike `getList`, the records include members who are unavailable or in a block relation with the creator. The
        method reads the creator's records of other lists too and skips them, so the caller should stop at the last
        member of the list.

        Args:
            creator_did: Whose list it is.
            list_uri: at:// URI of the list, with a DID.

        Yields:
            Records as `com.atproto.repo.listRecords` gives them (`uri`, `cid`, `value`), newest key first.
        """
        for page in self.records(creator_did, "app.bsky.graph.listitem"):
            for record in page:
                if list_of(record) == list_uri:
                    yield record

    def records(self, did: str, collection: str) -> Iterator[list[msgspec.Raw]]:
        """Read a collection of somebody's repository, page by page (`com.atproto.repo.listRecords`).

        Args:
            did: Whose repository.
            collection: Type of the records, e.g. `app.bsky.feed.repost`.

        Yields:
            Pages of records (`uri`, `cid`, `value`), newest key first.

        Raises:
            ActorNotFound: The server does not serve this repository now, or there is none.
            ServiceFailed: After the last readable page, if the next one cannot be asked for.
        """
        pages = self._client(self.pds_endpoint(did)).pages(
            "com.atproto.repo.listRecords",
            {"repo": did, "collection": collection, "limit": PAGE_LIMIT},
            _records_page,
            lambda page: [hash(bytes(record)) for record in page.records],
            subject=did,
            salvage=_saved_records_page,
            must_end=True,
            budget=self._budget(did),
        )
        for page in pages:
            yield page.records

    def record(self, did: str, collection: str, rkey: str) -> msgspec.Raw:
        """Read one record of somebody's repository (`com.atproto.repo.getRecord`).

        Returns:
            The record (`uri`, `cid`, `value`).

        Raises:
            RecordNotFound: There is no such record, or the server does not serve this repository now: `expect_served`
                tells the two apart. (Bluesky's own server passes the question on to an AppView then, which says the
                same of what it hides.)
            AccountDeactivated: The server does not serve this repository now; so do AccountSuspended and ActorNotFound.
        """
        uri = f"at://{did}/{collection}/{rkey}"

        def decode(body: bytes) -> msgspec.Raw:
            given = _record_body.decode(body).uri
            if given != uri:
                raise ValueError(f"this is {given!r}")
            return msgspec.Raw(body)

        params = {"repo": did, "collection": collection, "rkey": rkey}
        client, budget = self._client(self.pds_endpoint(did)), self._budget(did)
        return client.query("com.atproto.repo.getRecord", params, decode, subject=uri, budget=budget)

    def expect_served(self, did: str) -> None:
        """Ask whether the server serves somebody's repository (`com.atproto.sync.getRepoStatus`).

        Raises:
            AccountDeactivated: It does not, as it says here: the account's owner has deactivated it.
            AccountSuspended: It does not, for another reason that it names.
            ActorNotFound: It knows no such repository.
        """

        def decode(body: bytes) -> _RepoStatus:
            status = _repo_status.decode(body)
            if status.did != did:
                raise ValueError(f"this is about {status.did!r}")
            return status

        nsid, client = "com.atproto.sync.getRepoStatus", self._client(self.pds_endpoint(did))
        served = client.query(nsid, {"did": did}, decode, subject=did, budget=self._budget(did))
        if not served.active:
            said = served.status or "not active"
            kind = AccountDeactivated if said == "deactivated" else AccountSuspended
            raise kind(client.host, nsid, did, said, status=HTTPStatus.OK, error="", message=said)

    def list_item_record(self, uri: str) -> msgspec.Raw | None:
        """Read one membership of a list from its creator's own records; None if it is gone.

        Args:
            uri: Its at:// URI, with a DID.
        """
        creator_did, collection, key = uri.removeprefix("at://").split("/")
        try:
            return self.record(creator_did, collection, key)
        except RecordNotFound:
            return None

    def _account(self, did: str) -> _Account:
        if did not in self._accounts:
            self._accounts[did] = self._look_up(did)
        return self._accounts[did]

    def _look_up(self, did: str) -> _Account:
        directory, path = self._plc_directory, f"/{did}"
        if match := _DID_WEB.fullmatch(did):
            host, port = match[1], match[2]
            scheme = "http" if host in LOCALHOST else "https"
            directory, path = f"{scheme}://{host}" + (f":{port}" if port else ""), "/.well-known/did.json"
        client = self._client(directory)
        if not is_did(did):
            raise ServiceFailed(client.host, "DID document", did, "that is no DID")
        try:
            endpoint, signing_key = client.document(
                path,
                lambda document: (pds_endpoint_of(document), _signing_key_of(document, did)),
                endpoint="DID document",
                subject=did,
                budget=self._budget(did),
            )
        except RequestRejected as error:
            # 404: never registered; 410: a tombstone.
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise
            what = f"no such DID ({error.status})"
            raise ActorNotFound(
                client.host, "DID document", did, what, status=error.status, error=error.error, message=error.message
            ) from None
        if endpoint is None:
            raise ServiceFailed(client.host, "DID document", did, "it names no server for the account's records")
        return _Account(endpoint, signing_key)

    def _client(self, service: str) -> XrpcClient:
        is_named = service == self._plc_directory or urlsplit(service).netloc.lower() in self._inside_hosts
        refuses = None if is_named else self._outside.refuses
        with self._changing:
            return self._clients.setdefault(service, self._settings.for_service(service, refuses=refuses))

    def _budget(self, did: str) -> Budget:
        with self._changing:
            return self._budgets.setdefault(did, account_budget(self._patience))


def _signing_key_of(document: bytes, did: str) -> str | None:
    try:
        return signing_key_of(document, did)
    except ValueError:
        return None


_latest_commit = msgspec.json.Decoder(LatestCommit)


def _records_page(body: bytes) -> _RecordsPage:
    page = _records_body.decode(body)
    return _RecordsPage(page.records, *read_cursor(page.cursor))


def _saved_records_page(body: bytes) -> _RecordsPage | None:
    page = salvage.save_page(body, "records")
    return _RecordsPage(page.items, page.cursor, page.is_cursor_broken) if page else None


def list_of(record: msgspec.Raw) -> str | None:
    """Tell which list a membership belongs to; None if it does not say."""
    try:
        return _list_item_record.decode(record).value.list
    except (ValueError, RecursionError):
        return None


def uri_of(record: msgspec.Raw) -> str | None:
    """Tell which record this is; None if it does not say."""
    try:
        return _record_body.decode(record).uri
    except (ValueError, RecursionError):
        return None
