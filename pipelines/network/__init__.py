"""Clients of the AT Protocol's services, over HTTP. They are independent of dlt, DuckDB and Parquet."""
