"""The optimizers that come with layerkit, one a file."""
