"""Turns JSON text into a valid architecture and its network, or reports every mistake with its place."""
