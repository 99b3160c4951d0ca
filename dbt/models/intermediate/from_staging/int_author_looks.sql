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

-- Grouped and joined, not a window: that would carry labels and names of all looks through a sort.
last_looks as (
    select
        did,
        max(looked_at) as last_looked_at
    from looks
    group by did
)

select
    looks.did,
    min(looks.first_seen_at) as first_seen_at,
    max(looks.looked_at) as last_looked_at,
    bool_or(
        looks.looked_at = last_looks.last_looked_at
        and {{ contains_element('looks.labels', "'!no-unauthenticated'") }}
    ) as asks_to_be_hidden,
    bool_or(
        looks.looked_at = last_looks.last_looked_at and {{ has_hiding_label('looks.labels') }}
    ) as is_hidden_by_moderation,
    arg_max(case when looks.handle != 'handle.invalid' then looks.handle end, looks.looked_at) as valid_handle,
    arg_max(looks.handle, looks.looked_at) as handle,
    arg_max(looks.display_name, looks.looked_at) as display_name
from looks
inner join last_looks on looks.did = last_looks.did
group by looks.did
