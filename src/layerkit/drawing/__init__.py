"""Pictures for people: the loss curve, sheets of pictures, a network's diagram."""
