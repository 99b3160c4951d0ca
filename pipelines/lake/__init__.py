"""Where the data lands, and what it looks like there."""
