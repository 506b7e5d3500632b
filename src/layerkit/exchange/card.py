"""The model card that a model hub shows, made from the network's spec and the records of its training."""

from __future__ import annotations

from typing import Any

from layerkit.checkpoints.checkpoint import Checkpoint

_CARD = """---
library_name: layerkit
pipeline_tag: image-to-image
tags:
- image-denoising
- noise2noise
---

# {name}

{description}
- {parameters:,} parameters; input {shape}, values from 0 to 1.
- Trained {trained}.
{quality}
## How to use it

```python
from layerkit import {denoiser}

denoiser = {denoiser}.load("model.safetensors")
clean = {call}
```

Or `layerkit denoise model.safetensors PICTURES...`. `config.json` is the network's architecture file.
"""


def card(checkpoint: Checkpoint, last: dict[str, Any]) -> str:
    """Return the text of a model card.

    Args:
        checkpoint: the network.
        last: the record of its last epoch; empty where there is none.
    """
    blind = checkpoint.architecture.input.noise_level  # told the level of the noise, which is estimated
    architecture, position = checkpoint.architecture, checkpoint.position
    data = position.get("settings", {}).get("data")
    training = architecture.training
    trained = f"on {position.get('pictures', 0):,} pairs of pictures" if position else "elsewhere"
    if data:
        trained += f", data `{data}`"
    if training is not None:
        trained += f", noise `{training.noise.model_dump_json()}`, loss `{training.loss.type}`"
        trained += f", optimizer `{training.optimizer.type}`, seed {training.seed}"
    noisy, denoised = (last.get(name) or {} for name in ("noisy", "denoised"))
    quality = ""
    if "psnr_mean" in noisy and "psnr_mean" in denoised:
        before, after = noisy["psnr_mean"], denoised["psnr_mean"]
        quality = f"- On its validation pictures: {before:.2f} dB before, {after:.2f} dB after.\n"
    return _CARD.format(
        name=_line(architecture.name),
        description=f"{_line(architecture.description)}\n\n" if architecture.description else "",
        parameters=sum(weight.numel() for weight, _ in checkpoint.network.param()),
        shape=" x ".join(map(str, architecture.input.shape)),
        denoiser="BlindDenoiser" if blind else "Denoiser",
        call="denoiser.restore(noisy).pixels  # (C, H, W), values from 0 to 255"
        if blind
        else f"denoiser.predict(noisy)  # (N, {architecture.input.channels}, H, W), values from 0 to 255",
        trained=trained,
        quality=quality,
    )


def _line(text: str) -> str:
    """Return a text of the spec's as one line that begins nothing of its own in Markdown."""
    return " ".join(text.split()).lstrip("#->` ")
