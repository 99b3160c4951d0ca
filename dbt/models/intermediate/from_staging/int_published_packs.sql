{#- A pack's URI begins with its creator's DID. Where they are withheld, reports have a word in its place that is the
    same each night. It tells nobody's name, though whoever guesses the URI can check the guess. -#}
with left_out as (
    {{ left_out() }}
),

withheld as (
    select did
    from {{ ref('int_publishable_authors') }}
    where is_name_withheld
    union
    select did
    from left_out
    where did is not null
),

packs as (
    select pack_uri
    from {{ ref('stg_bluesky__starter_packs') }}
    union
    select pack_uri
    from {{ ref('stg_bluesky__starter_pack_members') }}
)

select
    packs.pack_uri,
    case when withheld.did is null then packs.pack_uri else 'withheld:' || md5(packs.pack_uri) end as published_uri
from packs
left join withheld on {{ did_of('packs.pack_uri') }} = withheld.did
