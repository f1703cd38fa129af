"""Files in, partitioned Parquet out, batches back: sources, counting, encoding, reading."""
