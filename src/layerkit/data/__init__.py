"""Turns pictures and data files into mini-batches."""
