"""Asks a member's own repository which of some records exist."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from pipelines.network.errors import AccountDeactivated, AccountSuspended, ActorNotFound, NetworkError, RecordNotFound
from pipelines.network.failing_services import OUT_OF_REACH
from pipelines.network.not_proved import NotProved
from pipelines.network.repositories import uri_of
from pipelines.sources.questions import POST
from pipelines.sources.repository_blocks import proved_records
from pipelines.sources.repository_comparison import is_later
from pipelines.sources.rows import repo_record_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import msgspec

    from pipelines.network.failing_services import FailingServices
    from pipelines.network.repositories import Repositories
    from pipelines.sources.questions import Question
    from pipelines.sources.rows import Row

T = TypeVar("T")

LISTED_ABOVE: Final = 25
"""Where more records of a collection are asked for, its newest pages are read first."""

PROVED_ABOVE: Final = 250
"""Where more records of one member are asked for, the whole repository is read: it proves at once what is gone."""

UNAVAILABLE: Final = (AccountDeactivated, AccountSuspended, ActorNotFound)
"""What says that a server does not serve a repository now, or that nobody does."""


@dataclass(frozen=True)
class RepositoryChecks:
    """Asks repositories, one member's at a time.

    Attributes:
        repositories: The servers.
        services: Which of them fail.
    """

    repositories: Repositories
    services: FailingServices

    def rows(self, questions: Sequence[Question], observed_at: datetime) -> list[Row]:
        """Ask for records of one member; each question gets a row of `record_checks`.

        A record is gone only by the word of a server that serves the repository, as it says afterwards: of a repository
        that it does not serve now, it may say of every record that there is none.

        Args:
            questions: About records in one repository.
            observed_at: The time of asking.
        """
        did = questions[0].did
        rows: dict[Question, Row] = {}
        not_found: list[Question] = []
        outcome = "record_gone"
        problem: NetworkError | None = None
        try:
            server = self._server_of(did)
            if len(questions) > PROVED_ABOVE:
                rows = self._proved(server, questions, observed_at)
            questions_left = [question for question in questions if question not in rows]
            listed = self._listed(server, questions_left, observed_at)
            for question in questions_left:
                if not question.is_in(did):
                    what = ValueError("the URI is none of a record of this repository")
                    rows[question] = question.answered(observed_at, "unknown", what)
                    continue
                try:
                    record = listed.get(question.uri) or self._record(server, question, observed_at)
                except RecordNotFound:
                    not_found.append(question)
                except UNAVAILABLE:
                    raise
                except NetworkError as error:
                    rows[question] = question.answered(observed_at, "unknown", error)
                else:
                    rows[question] = record | question.answered(observed_at, _is_there(question))
            if not_found:
                self._ask(server, did, lambda: self.repositories.expect_served(did))
        except UNAVAILABLE as error:
            outcome, problem = "account_unavailable", error
        except NetworkError as error:
            outcome, problem = "unknown", error
        return [rows.get(question) or question.answered(observed_at, outcome, problem) for question in questions]

    def _server_of(self, did: str) -> str:
        # A did:web is looked up at a host of its own.
        directory = "did:plc" if did.startswith("did:plc:") else did
        return self.services.ask(directory, lambda: self.repositories.pds_endpoint(did), failures=OUT_OF_REACH)

    def _record(self, server: str, question: Question, observed_at: datetime) -> Row:
        did = question.did
        raw = self._ask(server, did, lambda: self.repositories.record(did, question.collection, question.rkey))
        return repo_record_row(raw, observed_at)

    def _ask(self, server: str, did: str, question: Callable[[], T]) -> T:
        """Ask a server about one repository: one that it cannot read says nothing of the others that it holds."""
        return self.services.ask(server, lambda: self.services.ask(f"{server} {did}", question), failures=OUT_OF_REACH)

    def _proved(self, server: str, questions: Sequence[Question], observed_at: datetime) -> dict[Question, Row]:
        """Read the whole repository, and answer what it proves.

        Returns:
            Rows of `record_checks`. None of a record that may have been written since, or whose block is not to be had,
            and none at all where nothing is proved: these records are asked for one by one.
        """
        did = questions[0].did
        uris = {question.uri for question in questions if question.is_in(did)}
        try:
            found = self._ask(server, did, lambda: proved_records(self.repositories, did, uris, observed_at))
        except UNAVAILABLE:
            raise
        except (NetworkError, NotProved, OSError):
            return {}
        rows: dict[Question, Row] = {}
        for question in questions:
            if question.uri in found.records:
                record = found.records[question.uri]
                if record is not None:
                    rows[question] = record | question.answered(observed_at, _is_there(question))
            elif question.uri in uris and not is_later(question.rkey, found.rev):
                rows[question] = question.answered(observed_at, "record_gone")
        return rows

    def _listed(self, server: str, questions: Sequence[Question], observed_at: datetime) -> dict[str, Row]:
        """Read collections of which many records are asked for, by half as many pages at most as there are questions.

        What is not found may be on a later page, or the list may have broken off: it is asked for by itself.
        """
        found: dict[str, Row] = {}
        for collection, count in Counter(question.collection for question in questions).items():
            wanted = {question.uri for question in questions if question.collection == collection}
            if count > LISTED_ABOVE:
                records = self._found_in_list(server, questions[0].did, collection, wanted)
                found |= {uri: repo_record_row(raw, observed_at) for uri, raw in records.items()}
        return found

    def _found_in_list(self, server: str, did: str, collection: str, wanted: set[str]) -> dict[str, msgspec.Raw]:
        found: dict[str, msgspec.Raw] = {}

        def read_pages() -> None:
            for page in islice(self.repositories.records(did, collection), len(wanted) // 2):
                # Records share the memory of their page.
                found.update((uri, raw.copy()) for raw in page if (uri := uri_of(raw)) in wanted)
                if len(found) == len(wanted):
                    return

        try:
            self._ask(server, did, read_pages)
        except UNAVAILABLE:
            raise
        except NetworkError:
            pass
        return found


def _is_there(question: Question) -> str:
    return "hidden_by_service" if question.collection == POST else "in_repository"
