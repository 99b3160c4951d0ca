{{ config(severity='warn') }}

-- Nothing was loaded yet, so every mart is empty: pull first (`python pipelines/bluesky.py`).
select 'the lake has no load that is complete' as problem
where
    not exists (
        select 1
        from {{ ref('stg_dlt__loads') }}
        where is_complete
    )
