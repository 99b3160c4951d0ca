"""What the digest asks, in SQL: plain selects from the `rpt_` models, of all packs together.

Where a question is about a stretch of time, it is from `$since`, which is not in it, to `$until`, which is.
"""

from __future__ import annotations

from typing import Final

MOST_POSTS: Final = 5
MOST_HASHTAGS: Final = 5
MOST_LINKS: Final = 5
MOST_OUTSIDE: Final = 3

HEALTH: Final = "from rpt_data_health"

LAKE: Final = "select min(load_id) as lake from rpt_nights"

PACKS: Final = """
    select pack_name
    from rpt_packs
    where pack_uri != 'all' and seed_type != 'actor'
    order by member_count desc, pack_uri
"""

NUMBERS: Final = """
    select
        sum(post_count) as posts, sum(previous_post_count) as previous_posts,
        sum(active_member_count) as active, sum(previous_active_member_count) as previous_active
    from rpt_activity_by_period
    where pack_uri = 'all' and period = 'week'
"""

REACTIONS: Final = """
    select sum(engagement_gained) as reactions, sum(previous_engagement_gained) as previous_reactions
    from rpt_engagement_by_period
    where pack_uri = 'all' and period = 'week'
"""

NUMBERS_OF_DAYS: Final = """
    select
        sum(post_count) filter (date_day >= $monday) as posts,
        sum(post_count) filter (date_day < $monday) as previous_posts,
        sum(engagement_on_posts) filter (date_day >= $monday) as reactions_to_them,
        sum(engagement_on_posts) filter (date_day < $monday) as previous_reactions_to_them
    from rpt_activity_by_day
    where pack_uri = 'all' and date_day >= $monday - 7 and date_day < $monday + 7
"""

# Who reads a feed has no filter for what a labeler warns of.
TOP_POSTS: Final = f"""
    select post_uri, author_did, author_handle, text, engagement_count
    from rpt_top_posts
    where
        pack_uri = 'all' and period = $period and posted_at > $since and posted_at <= $until
        and coalesce(len(labels), 0) = 0
    order by rank_number
    limit {MOST_POSTS}
"""

LIKED: Final = f"""
    select post_uri, author_did, author_handle, text, member_count
    from rpt_liked_here
    where
        pack_uri = 'all' and last_liked_at > $since and last_liked_at <= $until and coalesce(len(labels), 0) = 0
    order by rank_number
    limit {MOST_POSTS}
"""

HASHTAGS: Final = f"""
    select hashtag, post_count, previous_post_count
    from rpt_hashtags
    where pack_uri = 'all' and period = 'week' and rising_rank_number <= {MOST_HASHTAGS}
    order by rising_rank_number
"""

LINKS: Final = f"""
    select link_uri, title, domain, author_count
    from rpt_links
    where pack_uri = 'all' and period = 'week' and rank_number <= {MOST_LINKS}
    order by rank_number
"""

NEWCOMERS: Final = """
    select did, handle
    from rpt_newcomers
    where pack_uri = 'all' and member_from > $since and member_from <= $until
    order by member_from desc, did
"""

FOLLOWS: Final = """
    select follower_did, follower_handle, followed_did, followed_handle
    from rpt_new_follows
    where pack_uri = 'all' and followed_at > $since and followed_at <= $until
    order by followed_at desc, follower_did, followed_did
"""

OUTSIDE: Final = f"""
    select did, handle, follower_count
    from rpt_followed_outside
    where pack_uri = 'all' and rank_number <= {MOST_OUTSIDE}
    order by rank_number
"""
