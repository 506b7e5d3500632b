"""From a network to a better one, and what a run keeps on disk."""
