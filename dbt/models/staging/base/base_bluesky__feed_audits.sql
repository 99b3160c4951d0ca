{{ base_model('feed_audits') }}
