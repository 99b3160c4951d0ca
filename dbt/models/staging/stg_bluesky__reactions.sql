-- A row that two pages had, or that was loaded again after a crash, counts once.
{{ rows_once('reactions', key=['post_uri', 'kind', 'actor_did', 'observed_at']) }}
