"""Reads the posts of a conversation out of the tree that `app.bsky.feed.getPostThread` serves."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


@dataclass
class Conversation:
    """What stands below a post.

    Attributes:
        posts: Its answers (`app.bsky.feed.defs#postView`), and answers to these, in no order. Where the service shows
            none, since it is gone or in a block, there is none.
        is_whole: Whether that is all that there is: what is in a block stands all the same.
    """

    posts: list[msgspec.Raw] = field(default_factory=list)
    is_whole: bool = True


class _Node(msgspec.Struct):
    post: msgspec.Raw = msgspec.Raw()
    replies: list[msgspec.Raw] = msgspec.field(default_factory=list)
    blocked: msgspec.Raw = msgspec.Raw(b"false")


class _Counted(msgspec.Struct, rename="camel"):
    reply_count: int = 0


_node = msgspec.json.Decoder(_Node)
_counted = msgspec.json.Decoder(_Counted)


def read_conversation(thread: msgspec.Raw, depth: int) -> Conversation:
    """Read a conversation.

    Args:
        thread: `app.bsky.feed.defs#threadViewPost` of the post at its top.
        depth: How deep was asked for. What stands there and has answers, has them out of sight.
    """
    conversation = Conversation()
    unread = [(thread, 0)]
    while unread:
        raw, level = unread.pop()
        try:
            node = _node.decode(raw)
            is_cut = level == depth and bytes(node.post) != b"" and _counted.decode(node.post).reply_count > 0
        except (ValueError, RecursionError):
            conversation.is_whole = False
            continue
        is_shown = bytes(node.post) != b""
        is_blocked = bytes(node.blocked) == b"true"
        if is_cut or is_blocked or (level == 0 and not is_shown):
            conversation.is_whole = False
        if level > 0 and is_shown:
            conversation.posts.append(node.post)
        if level < depth:
            unread += [(reply, level + 1) for reply in node.replies]
    return conversation
