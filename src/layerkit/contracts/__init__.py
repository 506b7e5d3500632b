"""What a component promises: its spec, and what the thing that the spec builds can do."""
