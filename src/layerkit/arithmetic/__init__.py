"""Fast computation of the layers that slide a window over pictures, such as convolutions."""
