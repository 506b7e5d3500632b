"""Explains one training step of a network on a tiny input, with every number shown, for learning backpropagation."""
