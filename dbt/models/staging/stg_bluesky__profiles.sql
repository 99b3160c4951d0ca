select
    * replace (
        {{ credible_count('followers_count') }} as followers_count,
        {{ credible_count('follows_count') }} as follows_count,
        {{ credible_count('posts_count') }} as posts_count
    )
from {{ ref('base_bluesky__profiles') }}
-- A row that one run saw twice, or that was loaded again after a crash, counts once.
qualify row_number() over (partition by did, observed_at order by load_id desc, source_file desc) = 1
