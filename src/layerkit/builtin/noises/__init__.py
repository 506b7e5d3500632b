"""The noises that come with layerkit, one a file."""
