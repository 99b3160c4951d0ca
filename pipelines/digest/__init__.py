"""The digest of the week: what the reports say, in a few lines, as Markdown, as an Atom feed, and for a chat."""
