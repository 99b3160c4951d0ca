"""A small Bluesky on localhost."""
