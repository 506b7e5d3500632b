"""Draws figures: the loss curve, sheets of pictures, a network's diagram."""
