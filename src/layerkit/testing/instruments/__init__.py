"""The tools of the checks: finite differences, passes, comparisons, guesses at mistakes."""
