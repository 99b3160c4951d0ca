"""What is true: people, what they write and when, evening by evening."""
