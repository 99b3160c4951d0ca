{{ base_model('starter_pack_members') }}
