"""Denoises pictures with a network, and measures the quality of the result."""
