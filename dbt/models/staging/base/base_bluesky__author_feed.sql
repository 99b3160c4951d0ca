{#- Narrow columns alone, for each time that an item was seen: the texts are the bulk of the files, so int_posts fetches
    them once, for the latest version, by source_file and file_row_number. -#}
{{
    base_model(
        'author_feed',
        columns=[
            'member_did',
            'observed_at',
            'item_uri',
            'item_at',
            'reason_type',
            'post_uri',
            'post_cid',
            'author_did',
            'like_count',
            'repost_count',
            'reply_count',
            'quote_count',
            'bookmark_count',
        ]
    )
}}
