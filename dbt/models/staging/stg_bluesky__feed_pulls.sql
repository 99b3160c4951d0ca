-- A row that one run saw twice, or that was loaded again after a crash, counts once.
{{ rows_once('feed_pulls', key=['member_did', 'observed_at']) }}
