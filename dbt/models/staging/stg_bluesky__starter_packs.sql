-- A row that one run saw twice, or that was loaded again after a crash, counts once.
{{ rows_once('starter_packs', key=['uri', 'observed_at'], names={'uri': 'pack_uri', 'name': 'pack_name'}) }}
