"""Taking a person out of what is beside the lake's tables: dlt's states, what is under way, hidden left-overs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dlt.common.versioned_state import compress_state, decompress_state

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.deleted_posts import POSTS_UNDER_WAY
from pipelines.lake.packed import is_packed, pack, unpack
from pipelines.lake.people_files import PEOPLE, read_people_file, write_people_file

if TYPE_CHECKING:
    import dlt

    from pipelines.lake.scrubbing import Scrubber

_STATES: Final = "_dlt_pipeline_state/"


def forget_in_states(pipeline: dlt.Pipeline, scrubber: Scrubber) -> int:
    """Take a person out of all states of all pipelines: their cursor, and what is remembered of lists of theirs.

    dlt sees, by the hash in the state, that it was changed, and stores it anew with its next load.

    Args:
        pipeline: Any pipeline of the lake.
        scrubber: Knows the person.

    Returns:
        How many states were written anew.
    """
    client = filesystem_client(pipeline)
    files, root = client.fs_client, client.dataset_path.rstrip("/")
    written = 0
    for path in map(str, files.find(f"{root}/{_STATES}")):
        if not path.endswith(".jsonl"):
            continue
        kept = json.loads(files.cat_file(path))
        before = decompress_state(kept["state"])
        after = _without(before, scrubber)
        if after != before:
            files.write_text(path, json.dumps(kept | {"state": compress_state(after)}))
            written += 1
    return written


def forget_in_posts_under_way(pipeline: dlt.Pipeline, scrubber: Scrubber) -> None:
    """Take a person's posts off the list of those whose words are going, where a run that died has left one."""
    posts = json.loads(read_people_file(pipeline, POSTS_UNDER_WAY) or b"[]")
    if scrubber.finds(posts):
        others = [uri for uri in posts if not scrubber.finds(uri)]
        write_people_file(pipeline, POSTS_UNDER_WAY, json.dumps(others))


def remove_left_overs(pipeline: dlt.Pipeline) -> None:
    """Remove what a crash left of a file that was being written: nobody reads it, and it may name anybody."""
    client = filesystem_client(pipeline)
    if not client.config.is_local_filesystem:
        return  # A bucket shows no half objects.
    for folder in (client.dataset_path, f"{client.bucket_path}/{PEOPLE}"):
        for path in map(str, client.fs_client.find(folder)):
            name = path.rpartition("/")[2]
            if name.startswith(".") and name.endswith(".partial"):
                client.fs_client.rm_file(path)


def _without(value: Any, scrubber: Scrubber) -> Any:
    match value:
        case dict():
            return {key: _without(inner, scrubber) for key, inner in value.items() if not scrubber.finds(key)}
        case list():
            return [_without(inner, scrubber) for inner in value]
        case str() if is_packed(value):
            before = unpack(value)
            after = _without(before, scrubber)
            return value if after == before else pack(after)
        case str():
            return scrubber.value(value)
    return value
