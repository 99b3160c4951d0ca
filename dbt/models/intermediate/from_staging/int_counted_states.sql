{{ config(materialized='view') }}

{#- What decides, beside the rows of feeds, whether and where int_author_days counts a post or a repost. It keeps a copy
    of what it counted with, and looks for what is another now. -#}
select
    'gone' as kind,
    subject_uri as subject,
    cast(null as {{ dbt.type_string() }}) as did,
    cast(null as date) as date_day,
    cast(null as {{ dbt.type_string() }}) as state_text
from {{ ref('int_deletions') }}
where subject_type in ('post', 'repost')
union all
select
    'in_doubt' as kind,
    uri as subject,
    null as did,
    null as date_day,
    null as state_text
from {{ ref('int_records_in_doubt') }}
union all
select
    'missed_repost' as kind,
    uri as subject,
    null as did,
    null as date_day,
    {{ as_text('is_of_own_post') }} as state_text
from {{ ref('int_missed_reposts') }}
union all
select
    'live_post' as kind,
    post_uri as subject,
    author_did as did,
    {{ utc_date('posted_at') }} as date_day,
    kind || coalesce({{ as_text('engagement_count') }}, '') || coalesce({{ as_text('posted_at') }}, '') as state_text
from {{ ref('int_live_posts') }}
union all
select
    'unpulled_repost' as kind,
    repost_uri as subject,
    reposter_did as did,
    {{ utc_date('reposted_at') }} as date_day,
    post_uri || coalesce({{ as_text('reposted_at') }}, '') as state_text
from {{ ref('int_unpulled_reposts') }}
union all
select
    'author' as kind,
    did as subject,
    did,
    null as date_day,
    {{ as_text('is_member and is_publishable') }} || {{ as_text('is_name_withheld') }} as state_text
from {{ ref('int_publishable_authors') }}
union all
select distinct
    'member' as kind,
    did as subject,
    did,
    null as date_day,
    cast(null as {{ dbt.type_string() }}) as state_text
from {{ ref('int_membership_spans') }}
