"""Finds the installed plugins and makes the catalogue of all components."""
