{{ base_model('profiles') }}
