-- A row that one run saw twice, or that was loaded again after a crash, counts once.
{{ rows_once('record_checks', key=['uri', 'observed_at']) }}
