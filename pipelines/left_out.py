"""Finds the people whom the settings leave out of what is published: each name leads to a DID, or publishing stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pipelines.lake.left_out import Found, LeftOut, keep_found, read_left_out
from pipelines.network.appview import PROFILES_LIMIT
from pipelines.network.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dlt

    from pipelines.network.appview import AppView


class _Profile(msgspec.Struct):
    did: str
    handle: str


def find_left_out(pipeline: dlt.Pipeline, appview: AppView) -> LeftOut:
    """Resolve the names that were not resolved before, and keep what came of it in the bucket.

    A handle that was resolved once is not asked for again: it may be somebody else's by now, or nobody's. What handles
    people have now is asked each time, because others name them by these.

    Args:
        pipeline: The pull's.
        appview: Who is asked.

    Returns:
        Who is left out. A name is unresolved where nobody could be found, for whatever reason.

    Raises:
        LakeError: The lake cannot be read as configured.
    """
    known = read_left_out(pipeline.pipeline_name)
    handles = {name.person for name in known.unresolved if name.person}
    dids = known.found.dids | _resolved(handles, appview)
    found = Found(dids, _with_handles(LeftOut(known.names, Found(dids, known.found.handles)), appview))
    if found != known.found:
        keep_found(pipeline, found)
    return LeftOut(known.names, found)


def _resolved(handles: Iterable[str], appview: AppView) -> dict[str, str]:
    dids = {}
    for handle in sorted(handles):
        try:
            dids[handle] = appview.resolve_handle(handle)
        except NetworkError:
            continue  # It stays unresolved, which is what its line says.
    return dids


def _with_handles(left_out: LeftOut, appview: AppView) -> dict[str, list[str]]:
    """Add the handles that people have now. Who has none now, or cannot be asked for, keeps those that are known."""
    handles = {did: set(left_out.found.handles.get(did, ())) for did in left_out.dids}
    dids = sorted(handles)
    for start in range(0, len(dids), PROFILES_LIMIT):
        try:
            profiles = [
                msgspec.json.decode(raw, type=_Profile)
                for raw in appview.profiles(dids[start : start + PROFILES_LIMIT])
            ]
        except (NetworkError, msgspec.ValidationError):
            continue
        for profile in profiles:
            if profile.did in handles and profile.handle != "handle.invalid":
                handles[profile.did].add(profile.handle.lower())
    return {did: sorted(known) for did, known in handles.items() if known}
