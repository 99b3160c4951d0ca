-- Who is in no pack and reacts most to what its members write. Ties are counted as last seen: what was taken back since
-- is not here.
with strangers as (
    select
        did,
        handle,
        display_name,
        profile_url
    from {{ ref('dim_authors') }}
    where is_publishable and not is_member and handle is not null
),

reactions as (
    select
        authors.pack_uri,
        periods.period,
        reactions.actor_did,
        reactions.post_author_did,
        reactions.post_uri,
        reactions.kind,
        -- Nobody tells when a repost was made.
        coalesce(reactions.reacted_at, reactions.first_seen_at) as reacted_at
    from {{ ref('fct_reactions') }} as reactions
    inner join strangers on reactions.actor_did = strangers.did
    inner join {{ ref('int_report_members') }} as authors on reactions.post_author_did = authors.did
    inner join {{ ref('int_periods') }} as periods
        on coalesce(reactions.reacted_at, reactions.first_seen_at) > periods.period_from
    where reactions.is_current
),

by_author as (
    select
        pack_uri,
        period,
        actor_did,
        post_author_did,
        count(*) as reaction_count,
        row_number() over (
            partition by pack_uri, period, actor_did
            order by count(*) desc, post_author_did asc
        ) as author_number
    from reactions
    group by pack_uri, period, actor_did, post_author_did
),

counted as (
    select
        pack_uri,
        period,
        actor_did,
        {%- for kind in ['like', 'repost', 'quote', 'reply'] %}
        count(case when kind = '{{ kind }}' then 1 end) as {{ kind }}_count,
        {%- endfor %}
        count(*) as reaction_count,
        count(distinct post_uri) as post_count,
        count(distinct post_author_did) as author_count,
        max(reacted_at) as last_reacted_at
    from reactions
    group by pack_uri, period, actor_did
),

ranked as (
    select
        counted.pack_uri,
        counted.period,
        row_number() over (
            partition by counted.pack_uri, counted.period
            order by counted.reaction_count desc, counted.author_count desc, counted.actor_did asc
        ) as rank_number,
        counted.actor_did as did,
        strangers.handle,
        case when {{ names_nobody_withheld(['strangers.display_name']) }} then strangers.display_name end
            as display_name,
        strangers.profile_url,
        counted.reaction_count,
        counted.like_count,
        counted.repost_count,
        counted.quote_count,
        counted.reply_count,
        counted.post_count,
        counted.author_count,
        by_author.post_author_did as top_author_did,
        members.handle as top_author_handle,
        by_author.reaction_count as top_author_reaction_count,
        counted.last_reacted_at
    from counted
    inner join strangers on counted.actor_did = strangers.did
    inner join by_author
        on
            counted.pack_uri = by_author.pack_uri
            and counted.period = by_author.period
            and counted.actor_did = by_author.actor_did
            and by_author.author_number = 1
    inner join {{ ref('rpt_members') }} as members on by_author.post_author_did = members.did
)

select *
from ranked
where rank_number <= 50
