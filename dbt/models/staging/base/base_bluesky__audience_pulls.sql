{{ base_model('audience_pulls') }}
