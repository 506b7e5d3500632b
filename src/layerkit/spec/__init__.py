"""From JSON text to a valid architecture and its network, or to every mistake with its place."""
