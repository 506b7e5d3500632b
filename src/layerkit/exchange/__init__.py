"""Exports networks to other frameworks and imports their weights; each export is loaded again and compared."""
