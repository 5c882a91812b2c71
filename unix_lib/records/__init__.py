"""Records: the samples that flow from sources to packs, as Parquet shards of one schema."""
