"""The dlt sources: what a pipeline extracts, and the state that it keeps between runs."""
