-- A row that was loaded again after a crash counts once.
{{ rows_once('member_records', key=['uri', 'observed_at']) }}
