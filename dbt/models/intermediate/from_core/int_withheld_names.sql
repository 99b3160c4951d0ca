{#- The handles and DIDs of people who may not be published, in small letters: no word that a report shows may hold one.
    People whom the settings leave out are here even if nothing of theirs was ever seen.
    A handle that somebody who may be published has now is that person's name, whoever had it before. -#}
with withheld as (
    select
        did,
        handle
    from {{ ref('dim_authors') }}
    where not is_publishable
),

names as (
    select did as withheld_name
    from withheld
    union
    select handle as withheld_name
    from withheld
    union
    select spans.handle as withheld_name
    from {{ ref('int_handle_spans') }} as spans
    inner join withheld on spans.did = withheld.did
    union
    select posts.author_handle as withheld_name
    from {{ ref('int_posts') }} as posts
    inner join withheld on posts.author_did = withheld.did
    {%- for did in var('unpublished_dids') %}
    union
    select {{ text_literal(did) }} as withheld_name
    {%- endfor %}
),

handles_in_use as (
    select handle
    from {{ ref('dim_authors') }}
    where is_publishable and handle is not null
)

select distinct lower(names.withheld_name) as withheld_name
from names
left join handles_in_use on names.withheld_name = handles_in_use.handle
where names.withheld_name not in ('', 'handle.invalid') and handles_in_use.handle is null
