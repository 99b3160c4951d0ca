"""What a repository fails on when it is held against its owner's signature."""

from __future__ import annotations

from enum import StrEnum

from pipelines.network.errors import one_line


class Check(StrEnum):
    """What is checked, in the order in which it is checked."""

    SIZE = "size"
    CAR = "car"
    COMMIT = "commit"
    SIGNING_KEY = "signing key"
    SIGNATURE = "signature"
    REV = "rev"
    BLOCK = "block"
    TREE = "tree"


class NotProved(Exception):  # noqa: N818 (the name says what happened, as those of the NetworkErrors do)
    """A repository that does not prove what its records are. The message is one line and begins with the check.

    Attributes:
        check: Which check failed.
    """

    def __init__(self, check: Check, what: str) -> None:
        self.check = check
        super().__init__(f"{check}: {one_line(what)}")
