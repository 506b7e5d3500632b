"""Side-by-side timings of layerkit and torch.nn on one machine; ``python -m benchmarks --help``."""
