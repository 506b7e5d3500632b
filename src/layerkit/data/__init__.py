"""From pictures and files to batches."""
