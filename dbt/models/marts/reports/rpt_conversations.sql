-- What stands below the posts of rpt_post_reach. Members of another pack are in the conversations of all packs together
-- alone.
with tops as (
    select distinct
        pack_uri,
        post_uri
    from {{ ref('rpt_post_reach') }}
),

shown as (
    select
        tops.pack_uri,
        conversations.top_post_uri,
        conversations.post_uri,
        conversations.parent_uri,
        conversations.answer_depth,
        conversations.order_number,
        posts.post_url,
        posts.author_did,
        authors.handle as author_handle,
        case when {{ names_nobody_withheld(['authors.display_name']) }} then authors.display_name end
            as author_display_name,
        not authors.is_member as is_outside,
        posts.text,
        posts.posted_at,
        posts.like_count,
        posts.repost_count,
        posts.quote_count,
        posts.reply_count,
        posts.labels
    from tops
    inner join {{ ref('int_conversations') }} as conversations on tops.post_uri = conversations.top_post_uri
    inner join {{ ref('fct_posts') }} as posts on conversations.post_uri = posts.post_uri
    inner join {{ ref('dim_authors') }} as authors on posts.author_did = authors.did
    left join {{ ref('int_report_members') }} as members
        on posts.author_did = members.did and tops.pack_uri = members.pack_uri
    cross join {{ ref('int_clock') }} as clock
    where
        authors.is_publishable
        and authors.handle is not null
        and not posts.is_deleted
        and not posts.is_in_doubt
        -- A post of somebody in no pack that nobody has looked at lately is stale (int_stale_posts). Asked here by its
        -- time, it need not be looked for among all posts.
        and (
            members.did is not null
            or (
                not authors.is_member
                and posts.last_observed_at >= {{ before('clock.newest_observed_at', var('publish_within_days')) }}
            )
        )
        and {{ names_nobody_withheld(['posts.text', as_text('posts.labels')], among='conversations.order_number > 0') }}
)

select
    shown.pack_uri,
    shown.top_post_uri,
    shown.post_uri,
    -- Null where it is not shown, so that nothing points at it.
    case when shown.answer_depth = 1 then shown.parent_uri else parents.post_uri end as parent_uri,
    shown.answer_depth,
    shown.order_number,
    shown.post_url,
    shown.author_did,
    shown.author_handle,
    shown.author_display_name,
    shown.is_outside,
    shown.text,
    shown.posted_at,
    shown.like_count,
    shown.repost_count,
    shown.quote_count,
    shown.reply_count,
    shown.labels
from shown
left join shown as parents
    on
        shown.pack_uri = parents.pack_uri
        and shown.top_post_uri = parents.top_post_uri
        and shown.parent_uri = parents.post_uri
