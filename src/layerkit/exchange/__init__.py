"""Networks to and from other frameworks, and the proof of each export: it is loaded again and compared."""
