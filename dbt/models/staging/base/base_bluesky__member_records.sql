{{ base_model('member_records') }}
