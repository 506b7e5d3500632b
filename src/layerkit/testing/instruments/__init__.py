"""What the checks look with: differences, passes, comparisons, guesses."""
