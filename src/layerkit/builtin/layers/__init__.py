"""The layers that come with layerkit, one kind a file: its formula, its spec, its module."""
