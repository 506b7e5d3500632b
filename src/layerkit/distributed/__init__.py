"""Several processes that train or evaluate together, started by torchrun."""
