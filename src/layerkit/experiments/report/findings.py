"""Makes sentences from the numbers of an experiment."""

from __future__ import annotations

from layerkit.denoising.metrics import headline
from layerkit.experiments.report.classical import Classical
from layerkit.experiments.report.comparison import chance, comparisons
from layerkit.experiments.report.numbers import psnr
from layerkit.experiments.report.published import PARAMETERS
from layerkit.experiments.report.section import Section, averaged
from layerkit.experiments.report.tables import UNEVEN, gap, gap_places
from layerkit.experiments.results import UNEVEN as UNEVEN_FACTOR


def findings(section: Section, classical: list[Classical]) -> list[str]:
    """Return sentences about an experiment's numbers; none without results.

    Args:
        section: the experiment.
        classical: the results of classical methods on the same pictures, where they are measured.
    """
    found = {
        "layers": _layers,
        "loss": _loss,
        "curve": _curve,
        "montage": _examples,
        "table": lambda section: _networks(section, classical),
        "gaps": _gaps,
    }[section.experiment.figure.type](section)
    return found + _seconds(section)


def _layers(section: Section) -> list[str]:
    architecture = section.outcomes[0].trial.architecture
    count = architecture.network.parameter_count(architecture.input.shape)
    theirs = "as the report's" if count == PARAMETERS else f"where the report's has {PARAMETERS:,}"
    return [f"The network has {count:,} parameters, {theirs}."] if section.experiment.reported.layers else []


def _loss(section: Section) -> list[str]:
    points = averaged(section.first_done[1].curve) if section.first_done else []
    return [f"Each point is the mean over the {points[0].pictures:,} pictures before it."] if points else []


def _curve(section: Section) -> list[str]:
    places = comparisons(section, "psnr")
    if not any(place.ours for place in places):
        return []
    width = chance(places)
    if width is None:
        return ["Each place is one training: what another seed would give is not known."]
    return [
        f"Lines go through the mean of the seeds, and bands from the least to the greatest. Seeds lie up to "
        f"{psnr(width)} dB apart: a smaller difference between two places cannot be distinguished from chance."
    ]


def _examples(section: Section) -> list[str]:
    examples = section.first_done[1].examples if section.first_done else ()
    gains = [after - before for before, after in examples if before is not None and after is not None]
    worse = [str(number) for number, gain in enumerate(gains, 1) if gain < 0]
    if not gains:
        return []
    if not worse:
        return [f"Every picture gets better, by {psnr(min(gains))} to {psnr(max(gains))} dB."]
    which = f"Picture {worse[0]} gets" if len(worse) == 1 else f"Pictures {', '.join(worse)} get"
    return [f"{which} worse, by up to {psnr(-min(gains))} dB: there the network's errors are larger than the noise."]


def _networks(section: Section, classical: list[Classical]) -> list[str]:
    known = [(value, method.name) for method in classical if (value := headline(method.quality)) is not None]
    trained = [
        (value, outcome.trial.variant or outcome.trial.label)
        for outcome in section.outcomes
        if (value := outcome.psnr) is not None
    ]
    if not known or not trained:
        return []
    best, name = max(known)
    below = "; ".join(f"{network} ({psnr(value)} dB)" for value, network in trained if value < best)
    above = "; ".join(f"{network} ({psnr(value)} dB)" for value, network in trained if value >= best)
    sentences = [f"The best method that learns nothing is {name}: {psnr(best)} dB."]
    sentences += [f"It beats {below}."] if below else []
    sentences += [f"It is beaten by {above}."] if above else []
    return sentences


def _gaps(section: Section) -> list[str]:
    gaps = [(spread.mean, name) for name, noisy, clean in gap_places(section) if (spread := gap(noisy, clean))]
    if not gaps:
        return []
    (low, least), (high, most) = min(gaps), max(gaps)
    if len(gaps) == 1:
        return [f"Clean targets are {psnr(abs(low))} dB {'ahead' if low >= 0 else 'behind'}."]
    return [f"The gap is {psnr(low)} dB at the least ({least}), and {psnr(high)} dB at the most ({most})."]


def _seconds(section: Section) -> list[str]:
    figure = section.experiment.figure
    if not section.first_done or not (figure.seconds or figure.type == "table"):
        return []
    sentences = ["Seconds are the number of epochs times the fastest of them, without validation."]
    if any(result.uneven for result in section.results):
        sentences.append(
            f"{UNEVEN} marks a training whose slowest epoch took over {UNEVEN_FACTOR:g} times as long as its fastest: "
            "something else ran on the machine."
        )
    return sentences
