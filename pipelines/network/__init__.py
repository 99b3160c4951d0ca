"""Asking: the services of the AT Protocol, over HTTP. Knows no dlt, no DuckDB, no Parquet."""
