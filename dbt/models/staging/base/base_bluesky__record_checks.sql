{{ base_model('record_checks') }}
