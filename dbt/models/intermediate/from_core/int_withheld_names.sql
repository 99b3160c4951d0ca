{#- The handles and DIDs of people who may not be published, in small letters: no word that a report shows may hold one.
    People whom the settings leave out are here even if nothing of theirs was ever seen. A handle that a member who may
    be published has now is that person's name, whoever had it before; of people who are no members nobody knows what
    they have now. Such a one whom nobody has looked at lately is not here: their own words are withheld, and others may
    name them, as they may name people of whom nothing is known.

    A handle that nobody but a mention tells is withheld with `@` before it: where handles stand (`names_in`), and not
    as a word or a link's domain. Else whoever lays a mention of somebody withheld over `@nytimes.com` would take that
    domain out of all reports. It is no name of theirs, either, where the service showed it as somebody's who may be
    published, or where more people mention somebody else by it. -#}
with left_out as (
    {{ left_out() }}
),

withheld as (
    select
        authors.did,
        authors.handle
    from {{ ref('dim_authors') }} as authors
    inner join {{ ref('int_publishable_authors') }} as publishability on authors.did = publishability.did
    where publishability.is_name_withheld
),

withheld_dids as (
    select did from withheld
    union
    select did from left_out
    where did is not null
),

-- Handles by which anybody means somebody withheld: nobody needs to count who means whom by the others.
in_question as (
    select distinct mentions.handle
    from {{ ref('int_mentioned_handles') }} as mentions
    inner join withheld_dids on mentions.mentioned_did = withheld_dids.did
    where mentions.handle is not null
),

called as (
    select
        mentions.handle,
        mentions.mentioned_did,
        count(distinct mentions.author_did) as caller_count
    from {{ ref('int_mentioned_handles') }} as mentions
    inner join in_question on mentions.handle = in_question.handle
    group by mentions.handle, mentions.mentioned_did
),

-- Anybody may lay a mention over any handle: whom more people mean by it decides. As many is enough.
called_withheld as (
    select called.handle
    from called
    left join withheld_dids on called.mentioned_did = withheld_dids.did
    group by called.handle
    having
        max(case when withheld_dids.did is not null then called.caller_count end)
        >= coalesce(max(case when withheld_dids.did is null then called.caller_count end), 0)
),

names as (
    select did as withheld_name
    from withheld_dids
    union
    select name as withheld_name
    from left_out
    where did is not null
    union
    select handle as withheld_name
    from withheld
    union
    select spans.handle as withheld_name
    from {{ ref('int_handle_spans') }} as spans
    inner join withheld on spans.did = withheld.did
    union
    select seen.handle as withheld_name
    from {{ ref('int_author_names') }} as seen
    inner join withheld on seen.did = withheld.did
    union
    select reactions.actor_handle as withheld_name
    from {{ ref('stg_bluesky__reactions') }} as reactions
    inner join withheld on reactions.actor_did = withheld.did
),

in_small_letters as (
    select distinct {{ small_letters('withheld_name') }} as withheld_name
    from names
),

published_handles as (
    select
        {{ small_letters('handle') }} as handle,
        is_current_member
    from {{ ref('dim_authors') }}
    where is_publishable and handle is not null
),

known_handles as (
    select
        handle,
        bool_or(is_current_member) as is_in_use
    from published_handles
    group by handle
)

select known.withheld_name
from in_small_letters as known
left join known_handles on known.withheld_name = known_handles.handle
where known.withheld_name not in ('', 'handle.invalid') and not coalesce(known_handles.is_in_use, false)
union all
select '@' || called_withheld.handle as withheld_name
from called_withheld
left join known_handles on called_withheld.handle = known_handles.handle
where called_withheld.handle != 'handle.invalid' and known_handles.handle is null
