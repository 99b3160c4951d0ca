"""Listening: jetstream, firehose, webhook and kafka, four feeds of one `RepoEvent`. Knows `network/` alone."""
