"""Networks on disk: weights, their architecture, and the position of their training."""
