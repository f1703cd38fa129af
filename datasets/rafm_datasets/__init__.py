"""Files in, partitioned Parquet out, batches back."""
