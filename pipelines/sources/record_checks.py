"""Asks those who know about records that no feed has shown: the service, what it shows; a repository, what exists."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.lake.tables import AUTHOR_FEED, RECORD_CHECKS
from pipelines.network.appview import POSTS_LIMIT
from pipelines.network.connect import Network
from pipelines.network.errors import NetworkError, ServiceFailed, is_refused
from pipelines.network.failing_services import OUT_OF_REACH, FailingServices
from pipelines.network.service_clock import hear_the_time
from pipelines.sources.bluesky import author_feed, rows_of
from pipelines.sources.clients import WORKERS
from pipelines.sources.questions import POST, Question
from pipelines.sources.repository_checks import RepositoryChecks
from pipelines.sources.rows import ROWS_PER_TABLE, Row, arrow_table, microseconds, shown_post_row


@dataclass
class Answers:
    """What came of some questions.

    Attributes:
        checks: Rows of `record_checks`.
        shown: Rows of `author_feed`: the posts that the service shows.
        left_out: Posts that the service does not show: their repositories know more.
    """

    checks: list[Row] = field(default_factory=list)
    shown: list[Row] = field(default_factory=list)
    left_out: list[Question] = field(default_factory=list)

    def add(self, other: "Answers") -> None:
        """Add what came of other questions."""
        self.checks += other.checks
        self.shown += other.shown
        self.left_out += other.left_out

    def tables(self) -> Iterator[pa.Table]:
        """Give the rows as tables."""
        if self.checks:
            yield arrow_table(RECORD_CHECKS, self.checks)
        if self.shown:
            yield arrow_table(AUTHOR_FEED, self.shown)


@dataclass
class RecordAsker:
    """Asks for records. Every question gets one row of `record_checks`.

    Attributes:
        network: The clients to ask.
        clock: Tells the time of an observation.
        outcomes: Questions so far, by outcome.
        problems: Questions that nobody could answer, by what was said.
        absent: Posts that the service does not show, in the order in which that was found.
    """

    network: Network
    clock: Callable[[], datetime]
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    absent: list[str] = field(default_factory=list)
    _services: FailingServices = field(default_factory=FailingServices, repr=False)

    def ask(self, questions: Sequence[Question]) -> Iterator[pa.Table]:
        """Ask for records, several at once.

        Yields:
            Tables of `record_checks` and of `author_feed`, of about `ROWS_PER_TABLE` rows.
        """
        if questions:
            appview, first = self.network.appview, questions[0].uri
            hear_the_time(self.clock, lambda: self._services.ask(appview.host, lambda: appview.posts([first])))
        waiting = Answers()
        for answers in self._answers(questions):
            self.outcomes.update(row["outcome"] for row in answers.checks)
            self.absent += [question.uri for question in answers.left_out]
            self.problems.update(row["error"] for row in answers.checks if row["outcome"] == "unknown")
            waiting.add(answers)
            if len(waiting.checks) >= ROWS_PER_TABLE:
                yield from waiting.tables()
                waiting = Answers()
        yield from waiting.tables()

    def _answers(self, questions: Sequence[Question]) -> Iterator[Answers]:
        posts = [question for question in questions if question.collection == POST]
        batches = [posts[start : start + POSTS_LIMIT] for start in range(0, len(posts), POSTS_LIMIT)]
        by_member: dict[str, list[Question]] = defaultdict(list)
        for question in questions:
            if question.collection != POST:
                by_member[question.did].append(question)
        pool = ThreadPoolExecutor(WORKERS)
        try:
            for answers in pool.map(self._ask_service, batches):
                for question in answers.left_out:
                    by_member[question.did].append(question)
                yield answers
            yield from pool.map(self._ask_repository, by_member.values())
        finally:
            # A run that is interrupted does not wait for what is still to be asked.
            pool.shutdown(cancel_futures=True)

    def _ask_service(self, questions: Sequence[Question]) -> Answers:
        """Ask for posts, at most 25."""
        observed_at, appview = self.clock(), self.network.appview
        uris = [question.uri for question in questions]
        problem: NetworkError
        try:
            views = self._services.ask(appview.host, lambda: appview.posts(uris), failures=OUT_OF_REACH)
        except NetworkError as error:
            problem, may_be_for_one = error, is_refused(error)
        else:
            rows = [shown_post_row(view, observed_at) for view in views]
            shown = {row["item_uri"]: row for row in rows}
            if shown.keys() <= set(uris):
                return _sorted_out(questions, shown, observed_at)
            what = "it gave a post that was not asked for, or cannot be read"
            problem, may_be_for_one = ServiceFailed(appview.host, "app.bsky.feed.getPosts", uris[0], what), True
        if may_be_for_one and len(questions) > 1:
            middle = len(questions) // 2
            answers = self._ask_service(questions[:middle])
            answers.add(self._ask_service(questions[middle:]))
            return answers
        return Answers([question.answered(observed_at, "unknown", problem) for question in questions])

    def _ask_repository(self, questions: Sequence[Question]) -> Answers:
        """Ask for records of one member."""
        checks = RepositoryChecks(self.network.repositories, self._services)
        return Answers(checks.rows(questions, self.clock()))


def _sorted_out(questions: Sequence[Question], shown: Mapping[str, Row], observed_at: datetime) -> Answers:
    answers = Answers()
    for question in questions:
        if question.uri in shown:
            answers.checks.append(question.answered(observed_at, "shown"))
            seen = {"member_did": question.did, "observed_at": microseconds(observed_at)}
            answers.shown.append(shown[question.uri] | seen)
        else:
            answers.left_out.append(question)
    return answers


@dlt.resource(name="record_answers", selected=False)
def _record_answers(questions: Sequence[Question], asker: RecordAsker) -> Iterator[pa.Table]:
    yield from asker.ask(questions)


@dlt.source(name="bluesky", section="bluesky")
def record_checks(questions: Sequence[Question], asker: RecordAsker) -> list[DltResource]:
    """Answers about records, and the posts among them that the service shows.

    Args:
        questions: Which records.
        asker: Asks for them, and counts what came of it.
    """
    answers = _record_answers(questions, asker)
    return [answers | rows_of(RECORD_CHECKS), answers | author_feed()]
