{{ base_model('starter_packs') }}
