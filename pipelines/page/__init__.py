"""The report's page: what it says, asked of the marts, and how it looks."""
