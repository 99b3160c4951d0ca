"""A lake of Bluesky: starter packs into Parquet, every night."""
