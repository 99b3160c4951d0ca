{{ config(severity='warn') }}

-- The lake is empty, and so is every mart: pull first (`python pipelines/bluesky.py`).
select 'the lake has no load that is complete' as problem
where
    not exists (
        select 1
        from {{ ref('stg_dlt__loads') }}
        where is_complete
    )
