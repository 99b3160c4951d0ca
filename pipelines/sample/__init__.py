"""A small Bluesky on localhost: what is true (`world/`), what is served (`appview/`), what is told (`streams/`)."""
