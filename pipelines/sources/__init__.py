"""What dlt extracts."""
