-- A row that one run saw twice, or that was loaded again after a crash, counts once.
{{
    rows_once(
        'profiles',
        key=['did', 'observed_at'],
        expressions={
            'followers_count': credible_count('followers_count'),
            'follows_count': credible_count('follows_count'),
            'posts_count': credible_count('posts_count')
        }
    )
}}
