{{ base_model('repo_event_gaps') }}
