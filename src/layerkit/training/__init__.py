"""Trains networks, and keeps each run in a folder on disk."""
