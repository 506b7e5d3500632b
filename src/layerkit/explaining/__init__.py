"""One training step of a network on a tiny input, with every number in sight, for whoever learns backpropagation."""
