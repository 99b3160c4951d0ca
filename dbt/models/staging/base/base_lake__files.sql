{{ config(unique_key='source_file', incremental_strategy='delete+insert', meta={'input': none}) }}

{#- The first model of the graph: it lists the files itself, and the other base models read the list. What a compacted
    file holds keeps its batch number, so that it is not read again. -#}
{%- set list_files = list_lake_files() %}
with listed as (
    {{ list_files }}
),

known as (
    {% if is_incremental() -%}
    select
        source_file,
        batch_number,
        is_present,
        {{ known_places() }} as held_in
    from {{ this }}
    {%- else -%}
    select
        source_file,
        0 as batch_number,
        true as is_present,
        {{ as_text('null') }} as held_in
    from listed
    where false
    {%- endif %}
),

held as (
    {{ list_held_files(new_compacted_files(list_files)) }}
    union all
    select
        held_in,
        source_file
    from known
    where held_in is not null
),

-- Until they are deleted, the files that a compacted one replaces are there too: of two places the newer one counts,
-- and a month's folder sorts behind those of its days.
present as (
    select
        coalesce(held.source_file, listed.source_file) as source_file,
        max(held.held_in) as held_in
    from listed
    left join held on listed.source_file = held.held_in
    group by 1
),

files as (
    select
        present.held_in,
        coalesce(present.source_file, known.source_file) as source_file,
        coalesce(known.batch_number, {{ next_batch() }}) as batch_number,
        present.source_file is not null as is_present,
        known.source_file is null
        or known.is_present != (present.source_file is not null)
        or coalesce(known.held_in, '') != coalesce(present.held_in, '') as is_changed
    from present
    full outer join known on present.source_file = known.source_file
)

select
    source_file,
    {{ regexp_first('source_file', '^([^/]+)/') }} as table_name,
    {{ regexp_first('source_file', '([0-9]{9,}[.][0-9]+)[^/]*$') }} as load_id,
    cast(batch_number as integer) as batch_number,
    is_present,
    held_in
from files
where is_changed
