"""The kit for functions, modules, operators and optimizers of others, which know nothing of layerkit.

Differentiation by torch is allowed here, for it is what these functions plug into.
"""
