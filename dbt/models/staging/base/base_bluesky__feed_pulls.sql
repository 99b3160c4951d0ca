{{ base_model('feed_pulls') }}
