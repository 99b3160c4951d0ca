"""What the page asks, in SQL: plain selects from the `rpt_` models, which count, rank and leave out.

Columns get the names here that they have in the page's JSON. A row says by `pack_uri` of which pack it is, `all` for
all packs together, and by `period` of which period, where the page can be filtered by it.
"""

from __future__ import annotations

from typing import Final

MOST_TOP_POSTS: Final = 10
MOST_NEWEST_POSTS: Final = 10
MOST_LINKS: Final = 10
MOST_DOMAINS: Final = 12
MOST_HASHTAGS: Final = 12
MOST_MOVING_HASHTAGS: Final = 8
"""How many hashtags that rise, and how many that fall."""

MOST_LANGUAGES: Final = 8
MOST_TIES: Final = 45
MOST_NEW_FOLLOWS: Final = 30
MOST_FOLLOWED_OUTSIDE: Final = 12
MOST_LIKED_HERE: Final = 10
MOST_REACH: Final = 4
MOST_REACTORS: Final = 8
MOST_ANSWERS: Final = 10
MOST_WEEKS: Final = 26
MOST_POSTS_OF_A_MEMBER: Final = 3
MOST_TIES_OF_A_MEMBER: Final = 6
MOST_NIGHTS: Final = 30
MOST_SCHEMA_CHANGES: Final = 20

HEALTH: Final = "from rpt_data_health"

PERIODS: Final = "select period as name, days, bin_hours, bin_count from rpt_periods order by days"

PACKS: Final = """
    select
        pack_uri as uri, pack_name as name, description, member_count, published_member_count, creator_handle,
        pack_url as url
    from rpt_packs
    where seed_type != 'actor'
    order by pack_uri = 'all' desc, member_count desc, pack_uri
"""

MODELS: Final = """
    select table_name as model, comment as description
    from duckdb_tables()
    where schema_name = 'main' and starts_with(table_name, 'rpt_')
    order by table_name
"""
"""What dbt says of each report, as it wrote it into the warehouse."""

PEOPLE: Final = """
    select did, handle, display_name as name, is_bot from rpt_members
    union all
    (
        select did, handle, display_name, null from rpt_followed_outside
        union
        select author_did, author_handle, author_display_name, null from rpt_liked_here
        union
        select did, handle, display_name, null from rpt_reactors_outside
        union
        select author_did, author_handle, author_display_name, null from rpt_conversations where is_outside
    )
"""
"""Members, and whoever in no pack is named all the same."""

MEMBERS: Final = """
    select
        did, pack_uris, followers_count, followers_change_week, posts_last_week, posts_previous_week, posts_last_month,
        reposts_last_month, posts_per_day, engagement_last_month, median_engagement_last_month, score, last_active_at,
        links
    from rpt_members
    order by score desc, followers_count desc nulls last, did
"""

BINS: Final = "from rpt_activity_by_bin"

WEEK: Final = """
    select pack_uri, period, iso_weekday, hour_of_day, post_count + repost_count as count
    from rpt_activity_by_weekday_hour
"""

ACTIVE: Final = """
    select pack_uri, period, active_member_count as active, previous_active_member_count as previous_active
    from rpt_activity_by_period
"""

REACTIONS: Final = """
    select pack_uri, period, engagement_gained as reactions, previous_engagement_gained as previous_reactions
    from rpt_engagement_by_period
"""

_POST = """
    post_uri, author_did, kind, text, posted_at, like_count, repost_count, reply_count, quote_count, engagement_count,
    engagement_growth as growth, media_count, labels
"""

TOP_POSTS: Final = f"""
    select pack_uri, period, {_POST}
    from rpt_top_posts
    where rank_number <= {MOST_TOP_POSTS}
    order by pack_uri, period, rank_number
"""

NEWEST_POSTS: Final = f"""
    select pack_uri, {_POST}
    from rpt_latest_posts
    where rank_number <= {MOST_NEWEST_POSTS}
    order by pack_uri, rank_number
"""

LINKS: Final = f"""
    select
        pack_uri, period, link_uri as uri, domain, title, post_count as posts, author_count as authors,
        engagement_count as reactions
    from rpt_links
    where rank_number <= {MOST_LINKS}
    order by rank_number
"""

DOMAINS: Final = f"""
    select
        pack_uri, period, domain as name, post_count as posts, previous_post_count as previous_posts,
        author_count as authors, link_type as type
    from rpt_domains
    where post_count > 0 and rank_number <= {MOST_DOMAINS}
    order by rank_number
"""

HASHTAGS: Final = f"""
    select
        pack_uri, period, hashtag as name, post_count as posts, previous_post_count as previous_posts,
        author_count as authors
    from rpt_hashtags
    where
        (post_count > 0 and rank_number <= {MOST_HASHTAGS})
        or rising_rank_number <= {MOST_MOVING_HASHTAGS}
        or falling_rank_number <= {MOST_MOVING_HASHTAGS}
    order by rank_number
"""

LANGUAGES: Final = f"""
    select pack_uri, period, primary_language as language, post_count as posts
    from rpt_languages
    where rank_number <= {MOST_LANGUAGES}
    order by rank_number
"""

MEDIA: Final = """
    select
        pack_uri, period, kind, media_count as count, with_alt_text_count as with_alt_text,
        previous_media_count as previous_count, previous_with_alt_text_count as previous_with_alt_text
    from rpt_alt_text
    order by kind
"""

MEDIA_KINDS: Final = """
    select
        pack_uri, period, media_kind as kind, post_count as posts, quarter_engagement as quarter,
        median_engagement as median, three_quarters_engagement as three_quarters
    from rpt_media_kinds
    where not is_reply
    order by post_count desc, media_kind
"""

TIES: Final = f"""
    select
        pack_uri, period, actor_did, subject_did, interaction_count as count, reply_count as replies,
        quote_count as quotes, repost_count as reposts, mention_count as mentions
    from rpt_interactions
    where tie_rank_number <= {MOST_TIES}
    order by pack_uri, period, tie_rank_number
"""

MUTUAL_FOLLOWS: Final = """
    select one_did, other_did from rpt_mutual_follows where pack_uri = 'all' order by one_did, other_did
"""

GROUPS: Final = """
    select pack_uri, group_did, did
    from rpt_groups
    order by pack_uri, group_member_count desc, group_did, did
"""

BRIDGES: Final = """
    select pack_uri, did
    from rpt_groups
    where betweenness > 0 and ties_beyond_count > 0
    qualify row_number() over (partition by pack_uri order by betweenness desc, did) <= 3
    order by pack_uri, betweenness desc, did
"""

NEW_FOLLOWS: Final = f"""
    select pack_uri, follower_did, followed_did, followed_at as at
    from rpt_new_follows
    qualify
        row_number() over (partition by pack_uri order by followed_at desc, follower_did, followed_did)
        <= {MOST_NEW_FOLLOWS}
    order by pack_uri, followed_at desc, follower_did, followed_did
"""

FOLLOWED_OUTSIDE: Final = f"""
    select pack_uri, did, follower_count as followers, follower_share as share
    from rpt_followed_outside
    where rank_number <= {MOST_FOLLOWED_OUTSIDE}
    order by pack_uri, rank_number
"""

LIKED_HERE: Final = f"""
    select
        pack_uri, member_count as people, post_uri, author_did, text, posted_at, like_count, repost_count, reply_count,
        quote_count, labels
    from rpt_liked_here
    where rank_number <= {MOST_LIKED_HERE}
    order by pack_uri, rank_number
"""

REACH: Final = f"""
    select
        pack_uri, period, person_count as people, outside_person_count as outside, conversation_post_count as answers,
        conversation_depth as depth, is_whole, post_uri, author_did, text, posted_at, like_count, repost_count,
        reply_count, quote_count, labels
    from rpt_post_reach
    where rank_number <= {MOST_REACH}
    order by pack_uri, period, rank_number
"""

REACTORS: Final = f"""
    select
        pack_uri, period, did, reaction_count as reactions, like_count as likes, repost_count as reposts,
        quote_count as quotes, reply_count as replies, post_count as posts, top_author_did,
        top_author_reaction_count as most
    from rpt_reactors_outside
    where rank_number <= {MOST_REACTORS}
    order by pack_uri, period, rank_number
"""

CONVERSATIONS: Final = f"""
    select
        pack_uri, top_post_uri, answer_depth as depth, post_uri, author_did, text, posted_at, like_count, repost_count,
        reply_count, quote_count, labels
    from rpt_conversations
    qualify row_number() over (partition by pack_uri, top_post_uri order by order_number) <= {MOST_ANSWERS}
    order by pack_uri, top_post_uri, order_number
"""

MEMBER_WEEKS: Final = f"""
    select did, week_number, post_count as posts, repost_count as reposts
    from rpt_member_weeks
    where week_number < {MOST_WEEKS}
"""

MEMBER_TOP_POSTS: Final = f"""
    select {_POST}
    from rpt_member_top_posts
    where rank_number <= {MOST_POSTS_OF_A_MEMBER}
    order by author_did, rank_number
"""

MEMBER_TIES: Final = f"""
    with ways as (
        select actor_did as did, subject_did as other_did, interaction_count as given, 0 as returned
        from rpt_interactions
        where pack_uri = 'all' and period = 'year'
        union all
        select subject_did, actor_did, 0, interaction_count
        from rpt_interactions
        where pack_uri = 'all' and period = 'year'
    ),
    ties as (
        select did, other_did, cast(sum(given) as bigint) as given, cast(sum(returned) as bigint) as returned
        from ways
        group by did, other_did
    )
    from ties
    qualify row_number() over (partition by did order by given + returned desc, other_did) <= {MOST_TIES_OF_A_MEMBER}
    order by did, given + returned desc, other_did
"""

CALENDAR: Final = """
    select pack_uri, date_day, post_count as posts, repost_count as reposts, active_member_count as active
    from rpt_activity_by_day
    order by date_day
"""

GROWTH: Final = """
    select pack_uri, age_up_to_hours, post_count, mean_engagement, median_engagement, mean_share_of_final
    from rpt_engagement_by_age
    order by age_up_to_hours
"""

HALF_LIFE: Final = """
    select
        pack_uri, kind, post_count, median_half_life_hours, quarter_half_life_hours, three_quarters_half_life_hours
    from rpt_half_life
    order by post_count desc, kind
"""

NEWCOMERS: Final = """
    select pack_uri, did, member_from, is_last_week, followers_count, post_count, last_active_at
    from rpt_newcomers
    order by pack_uri, member_from desc, did
"""

QUIET: Final = """
    select pack_uri, did, last_active_at, quiet_days, usual_actions_per_week
    from rpt_quiet_members
    order by pack_uri, usual_actions_per_week desc, did
"""

NIGHTS: Final = f"""
    select first_observed_at, last_observed_at, is_complete, ok_count, unavailable_count, failed_count, author_feed_rows
    from rpt_nights
    where last_observed_at is not null
    order by last_observed_at desc
    limit {MOST_NIGHTS}
"""

SCHEMA_CHANGES: Final = f"""
    select changed_at, table_name, column_name, change, data_type, previous_data_type
    from rpt_schema_changes
    order by changed_at desc, table_name, column_name
    limit {MOST_SCHEMA_CHANGES}
"""
