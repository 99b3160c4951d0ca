-- What `on_duckdb/int_follow_groups.py` finds, by the same function.
with ties as (
    select
        pack_uri,
        struct(one_did, other_did, case when is_mutual then 2 else 1 end as weight) as tie
    from {{ ref('int_follow_ties') }}
),

packs as (
    select
        pack_uri,
        follow_groups(array_sort(collect_list(tie))) as people
    from ties
    group by pack_uri
)

select
    packs.pack_uri,
    person.did,
    person.group_did,
    person.betweenness
from packs
lateral view explode(people) people_of_packs as person
