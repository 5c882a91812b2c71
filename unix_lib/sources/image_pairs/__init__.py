"""Images with captions in tables: base64 in TSV, bytes in Parquet."""
