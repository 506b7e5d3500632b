"""Several processes that do one work together, started by torchrun."""
