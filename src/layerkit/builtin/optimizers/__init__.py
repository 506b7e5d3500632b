"""The optimizers that come with layerkit, one per file; importing a file's classes here registers them."""

from layerkit.builtin.optimizers.adam import Adam as Adam, AdamSpec as AdamSpec
from layerkit.builtin.optimizers.adamw import AdamW as AdamW, AdamWSpec as AdamWSpec
from layerkit.builtin.optimizers.sgd import SGD as SGD, SGDSpec as SGDSpec
