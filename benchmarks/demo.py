"""A network is trained in less than a minute, and held against classical methods: ``make demo``.

It learns from crops of five photographs with Gaussian noise of 25 of 255, both pictures of a pair noisy
(``architectures/demo.json``). Then it denoises four photographs that it has not seen. The classical methods get the
parameters that are best for each of these very photographs; the network finds out itself how strong their noise is.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from statistics import fmean

from rich.console import Console

from benchmarks.quality import compared, line
from benchmarks.report import table
from layerkit.data.photographs import read_photograph
from layerkit.data.pictures import middle
from layerkit.data.sources import PHOTOS
from layerkit.denoising.blind import BlindDenoiser
from layerkit.drawing.comparison import draw_versions
from layerkit.registry.catalogue import installed
from layerkit.spec.loading import load_architecture
from layerkit.training.bars import bars
from layerkit.training.display import train_shown
from layerkit.training.run import Run, Settings
from layerkit.training.session import Session

ARCHITECTURE = Path(__file__).parents[1] / "architectures" / "demo.json"
FOLDER = Path("runs/demo")
SIGMA = 25
SIDE = 256
UNSEEN = (
    ("layerkit", "data/photos/raccoon.jpg"),
    ("layerkit", "data/photos/china.jpg"),
    ("layerkit", "data/photos/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)
"""All photographs in colour that come with layerkit and its dependencies, but for those that are trained on."""
NETWORK = "network"


def train() -> Path:
    """Train from scratch, and return the checkpoint."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    with Run.start(FOLDER, load_architecture(ARCHITECTURE), Settings(data=PHOTOS)) as run:
        session = Session.open(run, installed())
        print(session.dataset.description, flush=True)
        with bars(session, Console()) as shown:
            train_shown(session, shown, lambda: None)
        return run.checkpoint


def compare(checkpoint: Path) -> None:
    """Print the table and draw the first photograph."""
    network = BlindDenoiser.load(checkpoint, flips=True)
    rows, names = [], [Path(path).stem for _, path in UNSEEN]
    for number, (package, path) in enumerate(UNSEEN):
        clean = middle(read_photograph(package, path), SIDE).float()
        results = compared(clean, SIGMA, number, {NETWORK: network})
        print(line(path, results), flush=True)
        if not rows:
            versions = {f"{name} {result.decibels:.2f} dB": result.picture / 255 for name, result in results.items()}
            draw_versions(
                FOLDER / "comparison.png", versions | {"clean": clean / 255}, "PSNR against the clean picture"
            )
        rows.append([result.decibels for result in results.values()])
    columns = list(zip(*rows, strict=True))
    cells = [
        [name, *(f"{value:.2f}" for value in (*values, fmean(values)))]
        for name, values in zip(results, columns, strict=True)
    ]
    print(f"\nPSNR in dB, the middle {SIDE} x {SIDE} pixels of each\n")
    print(table(["", *names, "mean"], cells))
    print(f"\nwritten: {FOLDER / 'comparison.png'}, {checkpoint}")


if __name__ == "__main__":
    compare(train())
