-- A compacted file holds again what small ones held.
{{
    rows_once(
        'repo_event_gaps',
        key=['feed', 'service', 'observed_at', 'reason', 'position_before', 'position_after'],
        order_by='source_file asc, file_row_number asc'
    )
}}
