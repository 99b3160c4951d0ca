"""What is asked about a record, and how an answer is written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipelines.sources.rows import microseconds

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.sources.rows import Row

POST: Final = "app.bsky.feed.post"
POST_URI: Final = re.compile(
    rf"at://(did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-])/{re.escape(POST)}/([A-Za-z0-9_~.:-]{{1,512}})"
)
"""A post's at:// URI, with its author's DID and its key."""


@dataclass(frozen=True)
class Question:
    """A record to ask for.

    Attributes:
        uri: Its at:// URI, with a DID.
        did: Whose repository holds it, or held it.
        collection: Its type.
        asked_because: As in the column `record_checks.asked_because`.
    """

    uri: str
    did: str
    collection: str
    asked_because: str

    @property
    def rkey(self) -> str:
        """Its key in the collection."""
        return self.uri.rpartition("/")[2]

    def is_in(self, did: str) -> bool:
        """Tell whether it is a record of somebody's repository, which the service may have given under another name."""
        return self.uri == f"at://{did}/{self.collection}/{self.rkey}"

    def answered(self, observed_at: datetime, outcome: str, error: Exception | None = None) -> Row:
        """Write an answer as a row of `record_checks`.

        Args:
            observed_at: When it was asked.
            outcome: As in the column `record_checks.outcome`.
            error: What was said, where it was no answer.
        """
        return {
            "uri": self.uri,
            "did": self.did,
            "collection": self.collection,
            "observed_at": microseconds(observed_at),
            "asked_because": self.asked_because,
            "outcome": outcome,
            "error": error and str(error),
        }
