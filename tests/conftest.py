from __future__ import annotations

import torch

# The tests' tensors are small, and several processes share the cores: with more
# threads than one they take many times longer.
torch.set_num_threads(1)
