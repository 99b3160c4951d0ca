{#- The handles and DIDs of people who may not be published, in small letters: no word that a report shows may hold one.
    People whom the settings leave out are here even if nothing of theirs was ever seen, and so are handles that others
    mention them by. A handle that a member who may be published has now is that person's name, whoever had it before;
    of people who are no members nobody knows what they have now. -#}
with left_out as (
    {{ left_out() }}
),

withheld as (
    select
        did,
        handle
    from {{ ref('dim_authors') }}
    where not is_publishable
),

withheld_dids as (
    select did from withheld
    union
    select did from left_out
    where did is not null
),

-- Where a facet mentions one of them, the text under it is what the writer calls them.
mentioning as (
    select distinct post_uri
    from {{ ref('fct_mentions') }}
    where mentioned_did in (select withheld_dids.did from withheld_dids)
),

posts as (
    select
        posts.post_uri,
        posts.text,
        posts.facets
    from {{ ref('int_posts') }} as posts
    inner join mentioning on posts.post_uri = mentioning.post_uri
),

mentions as (
    select * from {{ explode('posts', ['post_uri', 'text'], 'facets', element='facet') }} as exploded
    where facet.feature = 'mention' and facet.value in (select withheld_dids.did from withheld_dids)
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
    select seen.author_handle as withheld_name
    from {{ ref('int_posts') }} as seen
    inner join withheld on seen.author_did = withheld.did
    union
    select {{ handle_in_bytes('text', 'facet.byte_start', 'facet.byte_end') }} as withheld_name
    from mentions
),

in_small_letters as (
    select distinct lower(withheld_name) as withheld_name
    from names
),

handles_in_use as (
    select distinct lower(handle) as handle
    from {{ ref('dim_authors') }}
    where is_publishable and is_current_member and handle is not null
)

select known.withheld_name
from in_small_letters as known
left join handles_in_use on known.withheld_name = handles_in_use.handle
where known.withheld_name not in ('', 'handle.invalid') and handles_in_use.handle is null
