{#- Posts as they were seen, from feed items as they were seen. A post can be on show several times in one run: pinned
    and at its place, posted and reposted by its author, in the feeds of several members. What was seen at one moment is
    one observation. -#}
{% macro post_observations(feed_items) %}
    (
        select
            post_uri,
            observed_at,
            max(author_did) as author_did,
            max(post_cid) as post_cid,
            max(like_count) as like_count,
            max(repost_count) as repost_count,
            max(reply_count) as reply_count,
            max(quote_count) as quote_count,
            max(bookmark_count) as bookmark_count,
            bool_or(member_did = author_did) as is_in_own_feed,
            max(source_file) as source_file,
            max(batch_number) as batch_number
        from {{ feed_items }}
        group by post_uri, observed_at
    )
{% endmacro %}
