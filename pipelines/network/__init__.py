"""Talking to the AT Protocol. Knows no dlt, no DuckDB, no Parquet."""
