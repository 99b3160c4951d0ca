-- A row that one run saw twice, or that was loaded again after a crash, counts once.
{{ rows_once('starter_pack_members', key=['pack_uri', 'did', 'observed_at']) }}
