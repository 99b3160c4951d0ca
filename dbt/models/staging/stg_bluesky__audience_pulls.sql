-- A row that was loaded again after a crash counts once.
{{ rows_once('audience_pulls', key=['kind', 'subject_uri', 'observed_at']) }}
