{{ config(materialized='view') }}

select * from {{ post_observations(ref('stg_bluesky__author_feed')) }} as observations
