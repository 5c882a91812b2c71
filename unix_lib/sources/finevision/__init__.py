"""FineVision's Parquet shards: images and turns of a conversation about them, a row a sample."""
