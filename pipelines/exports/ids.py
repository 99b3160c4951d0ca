"""The data set as URIs alone: the form in which posts may be handed on, as whoever reads them has to ask for them anew.

So what its author deleted since, or hides now, does not come back: `python pipelines/bluesky.py --posts post_uris.csv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipelines.exports.marts import Mart, choose

if TYPE_CHECKING:
    import duckdb

POSTS: Final = "fct_posts"
_DESCRIPTION: Final = "Posts that may be published, as at:// URIs; `bluesky.py --posts` asks for what is there of them."


def post_uris(marts: duckdb.DuckDBPyConnection, *, is_all: bool) -> tuple[Mart, str]:
    """Say what is exported, and from when it is.

    Args:
        marts: The warehouse.
        is_all: Whether also what may not be published is exported.

    Returns:
        The table of URIs, and a sentence about the time that the posts are from.
    """
    (posts,) = choose(marts, [POSTS], is_all=is_all)
    columns = tuple(column for column in posts.columns if column.name == "post_uri")
    mart = Mart("post_uris", _DESCRIPTION, columns, f"select post_uri from ({posts.query}) order by post_uri")
    query = f"select count(*), cast(min(posted_at) as date), cast(max(posted_at) as date) from ({posts.query})"
    count, first, last = marts.execute(query).fetchall()[0]
    return mart, f" {count:,} posts" + (f" from {first} to {last}." if count else ".")
