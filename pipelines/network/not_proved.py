"""What a repository fails on when it is held against its owner's signature."""

from __future__ import annotations

from enum import StrEnum

from pipelines.network.errors import one_line


class Check(StrEnum):
    """What is checked.

    Attributes:
        SIZE: Whether the CAR, or a block that is read, is larger than it may be.
        CAR: Whether it is a CAR, from its first byte to its last.
        COMMIT: Whether the commit is one, and the account's.
        SIGNING_KEY: Whether the key can be used.
        SIGNATURE: Whether the key has signed the commit.
        REV: Whether the commit is older than one that was seen before.
        BLOCK: Whether the commit and the tree's nodes are there, and every block that is read has its hash.
        TREE: Whether the tree has the one form that its keys give it.
    """

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
