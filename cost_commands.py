"""The command that says what a training would cost before anybody pays for it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import AsJson, facts_table, out, plain_errors, print_json
from .model_commands import Modality, Precision, need_torch, patch_samples
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .decoders.training_cost import CostQuestion, Hardware


Hours = Annotated[
    float, typer.Option(help="Hours of recordings; with --corpus, those it has.", min=0)
]
AsCorpus = Annotated[
    Path | None, typer.Option(help="A corpus that is there, for hours and channels.")
]
Channels = Annotated[int, typer.Option(help="Electrodes of a recording, on average.")]
Size = Annotated[str, typer.Option(help="tiny, small, base, large, xl or xxl.")]
PatchS = Annotated[float, typer.Option(help="1 or 0.1; by modality if not given.")]
StudentSize = Annotated[
    str, typer.Option(help="S or M: the cost of distilling one from the teacher instead.")
]
Passes = Annotated[float, typer.Option(help="How often the corpus is gone through.")]
SegmentS = Annotated[float, typer.Option(help="A segment is drawn for so many seconds.")]
PerUpdate = Annotated[int, typer.Option(help="Segments of an update, over all processes.")]
MaxChannels = Annotated[int, typer.Option(help="Most channels of a segment.")]
MaxPatches = Annotated[int, typer.Option(help="Most patches of a segment.")]
MeasureS = Annotated[
    float, typer.Option(help="Train so long to measure this machine; 0 does not.", min=0)
]
MeasureSize = Annotated[
    str, typer.Option(help="Size that is measured; the one asked about if not given.")
]
Gpus = Annotated[int, typer.Option(help="GPUs you would train on; 0 for none.", min=0)]
Tflops = Annotated[float, typer.Option(help="Peak of one at that precision, from its data sheet.")]
Utilisation = Annotated[
    float, typer.Option(help="Share of the peak that training reaches there, (0, 1].")
]
Price = Annotated[
    float | None, typer.Option(help="What an hour of one costs you, in any currency.")
]


def cost(
    hours: Hours = 0.0,
    corpus: AsCorpus = None,
    channels: Channels = 64,
    modality: Modality = "EEG",
    size: Size = "tiny",
    patch_s: PatchS = 0.0,
    student: StudentSize = "",
    passes: Passes = 1.0,
    segment_s: SegmentS = 30.0,
    batch: PerUpdate = 192,
    max_channels: MaxChannels = 32,
    max_patches: MaxPatches = 30,
    precision: Precision = "fp32",
    measure_s: MeasureS = 20.0,
    measure_size: MeasureSize = "",
    gpus: Gpus = 0,
    gpu_tflops: Tflops = 0.0,
    utilisation: Utilisation = 0.0,
    price_per_gpu_hour: Price = None,
    json: AsJson = False,
) -> None:
    """Say what pretraining or distilling would take: operations, bytes, hours, price.

    Operations and bytes are counted, this machine's speed is measured; hours and price are
    extrapolated from it and from what you state of other machines.
    """
    with plain_errors(json):
        need_torch()
        from .decoders.corpus_drawing import DrawPlan
        from .decoders.student_config import StudentConfig
        from .decoders.teacher import TeacherConfig
        from .decoders.training_cost import CostQuestion

        if corpus is not None:
            hours, channels = _of_corpus(corpus, modality)
        config = TeacherConfig.named(size, patch_samples(patch_s, modality))
        measured = TeacherConfig.named(measure_size or size, config.patch)
        question = CostQuestion(
            teacher=config,
            draw=DrawPlan(patch=config.patch, max_channels=max_channels, max_patches=max_patches),
            hours=hours,
            n_channels=channels,
            passes=passes,
            segment_s=segment_s,
            batch=batch,
            student=StudentConfig.named(student, modality) if student else None,
        )
        hardware = _hardware(gpus, gpu_tflops, utilisation, price_per_gpu_hour)
        figures = _figures(question, hardware, measured, measure_s, precision)
    if json:
        print_json(figures)
        return
    out.print(facts_table(_rows(figures)), highlight=False)
    out.print(
        "Extrapolated figures take speed for constant over sizes, machines and their number; "
        "drawing, validation, restarts and idle machines are not in them.",
        highlight=False,
    )


def _of_corpus(path: Path, modality: str) -> tuple[float, int]:
    """Hours, and electrodes weighted by them."""
    from .decoders.corpus import Corpus

    entries = Corpus.open(path).only(modality=modality).entries
    seconds = sum(entry.seconds for entry in entries)
    rows = sum(entry.seconds * entry.n_channels for entry in entries)
    return seconds / 3600, max(1, round(rows / seconds))


def _hardware(gpus: int, tflops: float, utilisation: float, price: float | None) -> Hardware | None:
    from .decoders.training_cost import Hardware

    if not gpus:
        if tflops or utilisation or price is not None:
            raise ConfigError("--gpus is missing: say how many GPUs you would train on.")
        return None
    if not tflops or not utilisation:
        raise ConfigError(
            "Hours on other machines need --gpu-tflops (peak of one, from its data sheet) and "
            "--utilisation (share of it that training reaches there, such as 0.3): neither is "
            "guessed here."
        )
    return Hardware(gpus=gpus, tflops=tflops, utilisation=utilisation, price_per_gpu_hour=price)


def _figures(
    question: CostQuestion,
    hardware: Hardware | None,
    measured: Any,
    measure_s: float,
    precision: str,
) -> dict[str, Any]:
    from .decoders.training_cost import counted, elsewhere, hours_here, measure

    figures: dict[str, Any] = {"asked": asdict(question), "counted": counted(question)}
    extrapolated: dict[str, Any] = {}
    if measure_s:
        speed = measure(measured, question.draw, measure_s, precision)
        figures["measured"] = asdict(speed)
        extrapolated["hours_here"] = hours_here(figures["counted"], speed)
    if hardware is not None:
        figures["stated"] = asdict(hardware)
        extrapolated["there"] = elsewhere(figures["counted"], hardware)
    return {**figures, "extrapolated": extrapolated}


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures, each with where it comes from."""
    counts = figures["counted"]
    rows = [
        ("counted", f"{counts['parameters'] / 1e6:.1f} million weights"),
        ("", f"{counts['segments']:,} segments in {counts['updates']:,} updates"),
        ("", f"{counts['flops_per_segment']:.3g} operations a segment, {counts['flops']:.3g} in "
             f"all"),
        ("", f"corpus {_size(counts['corpus_bytes'])}, of which {_size(counts['read_bytes'])} are "
             f"read"),
        ("", f"checkpoint {_size(counts['checkpoint_bytes'])}, two are kept; weights, gradients "
             f"and moments {_size(counts['state_bytes'])} in memory, activations not counted"),
    ]  # fmt: skip
    if "measured" in figures:
        speed = figures["measured"]
        rows += [
            ("measured", f"{speed['flops_per_s'] / 1e9:.3g} billion operations a second "
                         f"({speed['device']}; {speed['shape']}; {speed['updates']} updates in "
                         f"{speed['seconds']:.0f} s)"),
            ("extrapolated", f"{_duration(figures['extrapolated']['hours_here'])} in one process "
                             f"of this machine"),
        ]  # fmt: skip
    if "stated" in figures:
        stated, there = figures["stated"], figures["extrapolated"]["there"]
        price = "" if there["price"] is None else f", price {there['price']:,.0f}"
        rows += [
            ("stated", f"{stated['gpus']} GPUs of {stated['tflops']:g} TFLOP/s, "
                       f"{100 * stated['utilisation']:g} % of it reached"),
            ("extrapolated", f"{_duration(there['hours'])} there, {there['gpu_hours']:,.0f} GPU "
                             f"hours{price}; {_size(there['state_bytes_per_gpu'])} of state on "
                             f"each with --sharding fsdp"),
        ]  # fmt: skip
    return rows


def _size(n_bytes: float) -> str:
    power = min(5, int(math.log10(max(n_bytes, 1)) // 3))
    return f"{n_bytes / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.3g} minutes"
    if hours < 48:
        return f"{hours:.3g} hours"
    days = hours / 24
    return f"{days:,.0f} days" if days < 730 else f"{days / 365.25:,.0f} years"
