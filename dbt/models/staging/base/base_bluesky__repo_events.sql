{#- The wide columns too: compaction replaces the files that they could be fetched from later. -#}
{{ base_model('repo_events') }}
