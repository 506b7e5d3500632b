"""The losses that come with layerkit, one a file."""
