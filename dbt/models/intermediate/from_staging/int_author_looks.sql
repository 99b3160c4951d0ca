{#- When somebody was last looked at, what they wished then, and what they are called: posts, profiles and lists of
    reactions show an account's labels and names. -#}
with looks as (
    select
        author_did as did,
        last_observed_at as looked_at,
        first_observed_at as first_seen_at,
        author_labels as labels,
        author_handle as handle,
        author_display_name as display_name
    from {{ ref('int_posts') }}
    where author_did is not null
    union all
    select
        did,
        observed_at as looked_at,
        observed_at as first_seen_at,
        labels,
        handle,
        display_name
    from {{ ref('stg_bluesky__profiles') }}
    union all
    select
        actor_did as did,
        last_seen_at as looked_at,
        first_seen_at,
        actor_labels as labels,
        actor_handle as handle,
        actor_display_name as display_name
    from {{ ref('int_reactions') }}
),

with_last as (
    select
        *,
        max(looked_at) over (partition by did) as last_looked_at
    from looks
)

select
    did,
    min(first_seen_at) as first_seen_at,
    max(last_looked_at) as last_looked_at,
    bool_or(
        looked_at = last_looked_at and {{ contains_element('labels', "'!no-unauthenticated'") }}
    ) as asks_to_be_hidden,
    bool_or(looked_at = last_looked_at and {{ has_hiding_label('labels') }}) as is_hidden_by_moderation,
    {{ newest_known("case when handle != 'handle.invalid' then handle end", 'looked_at') }} as valid_handle,
    {{ newest_known('handle', 'looked_at') }} as handle,
    {{ newest_known('display_name', 'looked_at') }} as display_name
from with_last
group by did
