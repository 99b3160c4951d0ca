{#- When somebody was last looked at, what they wished then, and what they are called: posts, profiles and lists of
    reactions show an account's labels and names. -#}
{%- set looked_at = 'coalesce(looked_at, ' ~ oldest_time() ~ ')' -%}
with looks as (
    select
        did,
        last_looked_at as looked_at,
        first_seen_at,
        last_asked_to_be_hidden_at as asked_to_be_hidden_at,
        last_hidden_by_moderation_at as hidden_by_moderation_at,
        handle,
        display_name
    from {{ ref('int_author_names') }}
    union all
    select
        did,
        observed_at as looked_at,
        observed_at as first_seen_at,
        case when {{ contains_element('labels', "'!no-unauthenticated'") }} then observed_at end
            as asked_to_be_hidden_at,
        case when {{ has_hiding_label('labels') }} then observed_at end as hidden_by_moderation_at,
        handle,
        display_name
    from {{ ref('stg_bluesky__profiles') }}
    union all
    select
        actor_did as did,
        last_seen_at as looked_at,
        first_seen_at,
        case when {{ contains_element('actor_labels', "'!no-unauthenticated'") }} then last_seen_at end
            as asked_to_be_hidden_at,
        case when {{ has_hiding_label('actor_labels') }} then last_seen_at end as hidden_by_moderation_at,
        actor_handle as handle,
        actor_display_name as display_name
    from {{ ref('int_reactions') }}
)

select
    did,
    min(first_seen_at) as first_seen_at,
    max(looked_at) as last_looked_at,
    coalesce(max(asked_to_be_hidden_at) = max(looked_at), false) as asks_to_be_hidden,
    coalesce(max(hidden_by_moderation_at) = max(looked_at), false) as is_hidden_by_moderation,
    -- Of two names that were seen at one moment, engines would take either; of one without a time, DuckDB the latter.
    {{ newest_known("case when handle != 'handle.invalid' then handle end", '(' ~ looked_at ~ ', handle)') }}
        as valid_handle,
    {{ newest_known('handle', '(' ~ looked_at ~ ', handle)') }} as handle,
    {{ newest_known('display_name', '(' ~ looked_at ~ ', display_name)') }} as display_name
from looks
group by did
