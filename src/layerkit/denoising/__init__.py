"""A network at work on pictures, and how good what it gives is."""
