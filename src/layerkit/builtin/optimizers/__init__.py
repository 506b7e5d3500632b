"""The optimizers that come with layerkit, one a file; importing a file's classes here registers them."""

from layerkit.builtin.optimizers.sgd import SGD as SGD, SGDSpec as SGDSpec
