"""Networks on disk: weights, the architecture they belong to, and how far their training had come."""
