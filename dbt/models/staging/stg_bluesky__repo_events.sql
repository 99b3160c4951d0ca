{#- Feeds deliver at least once, two feeds deliver the same event, and a compacted file holds again what small ones
    held. Feeds may tell different times of one commit: the earliest is nearest to it.

    Whoever pushes an event may say any time. What is said to come later than we heard of it would win over all that is
    seen until then. What cannot be read stays in the lake, in `raw`. -#}
{{
    rows_once(
        'repo_events',
        key=[
            'kind', 'did', 'collection', 'rkey', 'rev', 'operation',
            "case when kind != 'commit' then event_at end",
            "case when kind != 'commit' then handle end",
            "case when kind != 'commit' then is_active end"
        ],
        order_by='event_at asc, observed_at asc, source_file asc, file_row_number asc',
        expressions={'event_at': 'case when event_at > observed_at then observed_at else event_at end'},
        condition="kind != 'unreadable'"
    )
}}
