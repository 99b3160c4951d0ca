{{ base_model('reactions') }}
