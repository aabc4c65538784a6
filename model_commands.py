"""Commands that make models: pretraining, distillation, fitting, fetching."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import (
    NOTICE,
    AsJson,
    facts_table,
    out,
    plain_errors,
    print_json,
    progress_bar,
    tell_scores,
)
from .corpus_commands import Data, build_from_recipe
from .runtime.catalog import CATALOG
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .decoders.corpus import Corpus
    from .decoders.teacher import Teacher
    from .decoders.training_plan import TrainPlan
    from .fit_plan import FitPlan

Timing = Annotated[Path | None, typer.Option(help="TOML file with the \\[timing] of their device.")]
Unit = Annotated[str | None, typer.Option(help="Unit of recordings that name none.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run; the same goes on with it.")]
CorpusPath = Annotated[
    Path, typer.Argument(help="Folder of a corpus, or a recipe (TOML) to build one from.")
]
Modality = Annotated[str, typer.Option(help="EEG or iEEG.")]
Steps = Annotated[int, typer.Option(help="Updates of the weights.", min=1)]
Batch = Annotated[int, typer.Option(help="Segments that a process looks at in a step.", min=1)]
Accumulate = Annotated[int, typer.Option(help="Batches before an update.", min=1)]
GlobalBatch = Annotated[
    int,
    typer.Option(
        help="Segments of an update over all processes; then --accumulate follows.", min=0
    ),
]
Rate = Annotated[float, typer.Option(help="Highest learning rate.")]
Seed = Annotated[int, typer.Option(help="Decides every draw.", min=0)]
Precision = Annotated[str, typer.Option(help="fp32 or bf16.")]
Decoded = Annotated[str, typer.Option(help=f"What is decoded: {', '.join(CATALOG['task'])}.")]
FalseRate = Annotated[
    float, typer.Option(help="Activations wished at most in a minute of rest; sets the feedback.")
]
Sharding = Annotated[str, typer.Option(help="With several processes: ddp or fsdp.")]


def pretrain(
    corpus: CorpusPath,
    run: Out,
    data: Data = None,
    modality: Modality = "EEG",
    size: Annotated[str, typer.Option(help="tiny, small, base, large, xl or xxl.")] = "tiny",
    patch_s: Annotated[float, typer.Option(help="1 or 0.1; by modality if not given.")] = 0.0,
    steps: Steps = 2000,
    batch: Batch = 8,
    accumulate: Accumulate = 1,
    global_batch: GlobalBatch = 0,
    learning_rate: Rate = 1e-3,
    max_channels: Annotated[int, typer.Option(help="Most channels of a segment.")] = 32,
    max_patches: Annotated[int, typer.Option(help="Most patches of a segment.")] = 30,
    high_frequency_weight: Annotated[float, typer.Option(help="Weighs fast gamma.")] = 0.0,
    correlated_masking: Annotated[
        float | None, typer.Option(help="Hide channels together that correlate this much.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Teacher to go on from: ours, same size.")
    ] = None,
    seed: Seed = 0,
    precision: Precision = "fp32",
    sharding: Sharding = "ddp",
    json: AsJson = False,
) -> None:
    """Pretrain a DIVER teacher on a corpus: hide patches, guess them.

    Interrupted, the same command goes on. On several GPUs, behind
    `python -m torch.distributed.run --nproc-per-node N -m`.
    """
    with plain_errors(json):
        need_torch()
        from .decoders.corpus import DrawPlan
        from .decoders.pretrain import PretrainConfig
        from .decoders.pretrain import pretrain as run_pretraining
        from .decoders.teacher import TeacherConfig
        from .decoders.teacher_files import load_teacher

        config = TeacherConfig.named(size, patch_samples(patch_s, modality))
        draw = DrawPlan(patch=config.patch, max_channels=max_channels, max_patches=max_patches)
        task = PretrainConfig(
            draw=draw,
            high_frequency_weight=high_frequency_weight,
            correlated_masking=correlated_masking,
        )
        batches = _accumulated(batch, accumulate, global_batch)
        plan = _plan(run, steps, batch, batches, learning_rate, seed, precision, sharding)
        before = load_teacher(start) if start else None
        signal = _corpus(corpus, run, data, modality)
        with progress_bar("pretraining") as step:
            path = run_pretraining(signal, config, task, plan, step, before)
    _tell_made("teacher", path, json)


def distill(
    corpus: CorpusPath,
    run: Out,
    teacher: Annotated[Path, typer.Option(help="Teacher: our own, or a published checkpoint.")],
    data: Data = None,
    modality: Modality = "EEG",
    size: Annotated[str, typer.Option(help="S (1.2 million weights) or M (4.7).")] = "S",
    start: Annotated[
        Path | None, typer.Option("--from", help="Student to go on from, or to make smaller.")
    ] = None,
    keep: Annotated[float, typer.Option(help="With --from: share of the blocks to keep.")] = 1.0,
    weight_bits: Annotated[
        int | None, typer.Option(help="With --from: train with weights of so many bits.")
    ] = None,
    steps: Steps = 2000,
    batch: Batch = 8,
    accumulate: Accumulate = 1,
    global_batch: GlobalBatch = 0,
    learning_rate: Rate = 1e-3,
    max_channels: Annotated[int, typer.Option(help="Most channels of a segment.")] = 32,
    max_seconds: Annotated[float, typer.Option(help="Longest segment.")] = 8.0,
    seed: Seed = 0,
    precision: Precision = "fp32",
    sharding: Sharding = "ddp",
    json: AsJson = False,
) -> None:
    """Distil a teacher into a student that streams.

    Interrupted, the same command goes on. On several GPUs, behind
    `python -m torch.distributed.run --nproc-per-node N -m`.
    """
    with plain_errors(json):
        need_torch()
        from .decoders.compress import compress
        from .decoders.distill import distill as run_distillation
        from .decoders.distill_config import DistillConfig
        from .decoders.student_config import StudentConfig
        from .decoders.student_files import load_student

        if start is None and (keep != 1.0 or weight_bits is not None):
            raise ConfigError(
                "--keep and --weight-bits make a student smaller: name it with --from."
            )
        student = load_student(start) if start else None
        settings = student.config if student else StudentConfig.named(size, modality)
        config = DistillConfig(max_channels=max_channels, max_seconds=max_seconds)
        batches = _accumulated(batch, accumulate, global_batch)
        plan = _plan(run, steps, batch, batches, learning_rate, seed, precision, sharding)
        opened = open_teacher(teacher)
        signal = _corpus(corpus, run, data, modality)
        if student is not None:
            student = compress(
                student, opened, signal, config, keep=keep, weight_bits=weight_bits, seed=seed
            )
        with progress_bar("distilling") as step:
            path = run_distillation(signal, opened, settings, config, plan, step, student)
    _tell_made("student", path, json)


def fetch_teacher(
    name: Annotated[str, typer.Argument(help="ieeg-tiny-0.1s or joint-small-1s.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder to put it in.")] = Path("models"),
    json: AsJson = False,
) -> None:
    """Fetch a published DIVER-1 checkpoint; an interrupted download goes on."""
    from .decoders.fetching import fetch_published

    with plain_errors(json), progress_bar("fetching") as step:
        fetched = fetch_published(
            name, folder, lambda done, of: step(f"fetching {name}", done, of or done)
        )
    if json:
        print_json({"path": str(fetched.path), "sha256": fetched.sha256, "pinned": fetched.pinned})
        return
    known = "as published" if fetched.pinned else "a converted copy without a published hash"
    out.print(f"{fetched.path} ({fetched.sha256[:12]}, {known}).", highlight=False)


def student(
    name: Annotated[str, typer.Argument(help="A shipped student, or the path of one.")],
    json: AsJson = False,
) -> None:
    """Show what a student is: made from what, how good, for what, and for what not."""
    with plain_errors(json):
        need_torch()
        from .decoders.shipped import find_student
        from .decoders.student_card import rows, summary
        from .decoders.student_files import load_student, student_note

        path, sha256 = find_student(name)
        opened, note = load_student(path, sha256=sha256), student_note(path)
    settings = opened.config.to_dict()
    if json:
        print_json({"path": str(path), "notice": NOTICE, "config": settings, "note": note})
        return
    out.print(f"[bold]{path.stem}[/]")
    for line in summary(note.get("card", {})):
        out.print(f"- {line}", highlight=False, markup=False)
    out.print(facts_table(rows(opened.config, note)), highlight=False)
    out.print("All of it, every recording by name: --json.", highlight=False)


def fit(
    recordings: Annotated[list[Path], typer.Argument(help="Labelled recordings; the latest last.")],
    bundle: Annotated[Path, typer.Option("--out", help="NAME.bundle to write.")],
    classes: Annotated[str, typer.Option(help="Labels with commas; the task's own if empty.")] = "",
    task: Decoded = "motor_imagery",
    encoder: Annotated[
        str, typer.Option(help="auto: the way that does best; or the name of one.")
    ] = "auto",
    options: Annotated[
        Path | None,
        typer.Option(help="TOML file with options of the task, as the menu of p300_speller."),
    ] = None,
    student: Annotated[str, typer.Option(help="For student: a shipped one, or a path.")] = "",
    start_s: Annotated[float | None, typer.Option(help="From the cue.")] = None,
    stop_s: Annotated[float | None, typer.Option(help="From the cue.")] = None,
    window_s: Annotated[float | None, typer.Option(help="Length of a window.")] = None,
    step_s: Annotated[float | None, typer.Option(help="From one decision to the next.")] = None,
    promise: Annotated[
        float, typer.Option(help="Share of decisions that may be wrong; unsure ones are neutral.")
    ] = 0.0,
    false_per_minute: FalseRate = 0.0,
    adaptive: Annotated[bool, typer.Option("--adaptive", help="Can be adapted later.")] = False,
    conditioning: Annotated[
        Path | None, typer.Option(help="TOML file whose \\[conditioning] is used.")
    ] = None,
    timing: Timing = None,
    assume_unit: Unit = None,
    json: AsJson = False,
) -> None:
    """Fit a model on labelled recordings, in the way that does best; save it as a bundle."""
    from .fit_plan import plans_for, read_options, timed
    from .runtime.session import read_conditioning

    with plain_errors(json):
        names = tuple(name.strip() for name in classes.split(",") if name.strip())
        if classes and len(names) < 2:
            raise ConfigError(f"--classes needs two labels or more, got {classes!r}.")
        plans = plans_for(
            task,
            encoder=encoder,
            classes=names,
            start_s=start_s,
            stop_s=stop_s,
            window_s=window_s,
            step_s=step_s,
            conditioning=read_conditioning(conditioning) if conditioning else None,
            student=student,
            promised_error=promise,
            false_per_min=false_per_minute,
            options=read_options(task, options) if options else None,
            adaptive=adaptive,
        )
        sha256, scores = _fit_and_save(recordings, timed(plans, timing), bundle, assume_unit)
    if json:
        print_json({"bundle": str(bundle), "sha256": sha256, "scores": scores})
        return
    tell_scores(scores)
    out.print(f"Saved {bundle} ({sha256[:12]}).", markup=False)


def refuse_overwriting(bundle: Path) -> None:
    """Raise `ConfigError` if no such bundle could be written: a wrong name, one there, no key."""
    from .runtime.record.signing import load_or_create_key

    if bundle.suffix != ".bundle":
        raise ConfigError(f"A bundle is a folder called NAME.bundle, got {bundle.name!r}: rename.")
    if bundle.exists():
        raise ConfigError(f"{bundle} exists; a bundle is never overwritten: take a new name.")
    load_or_create_key()


def _fit_and_save(
    paths: Sequence[Path], plans: Sequence[FitPlan], bundle: Path, assume_unit: str | None
) -> tuple[str, dict[str, Any]]:
    from . import calibration
    from .runtime.bundle import save_bundle
    from .training_sources import recordings

    refuse_overwriting(bundle)
    if [plan.encoder for plan in plans] == ["student"]:
        need_torch()
    with progress_bar("reading recordings") as step:
        sources = recordings(paths, assume_unit)
        fitted = calibration.fit_best(sources, plans, step)
    return save_bundle(fitted, bundle), fitted.card.scores


def _corpus(path: Path, run: Path, data: Path | None, modality: str) -> Corpus:
    """The corpus that was named, or one built from the recipe that was named."""
    from .decoders.corpus import Corpus

    if path.suffix != ".toml":
        return Corpus.open(path).only(modality=modality)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            f"Several processes cannot build {path.name} at a time: run `diverloop corpus` first "
            f"and name its folder."
        )
    return build_from_recipe(path, run / "corpus", data, modality)


def _accumulated(batch: int, accumulate: int, global_batch: int) -> int:
    """Batches of one process in an update, so that an update is the same for any number of them."""
    if not global_batch:
        return accumulate
    at_once = batch * int(os.environ.get("WORLD_SIZE", "1"))
    if accumulate != 1 or global_batch % at_once:
        raise ConfigError(
            f"--global-batch must be a multiple of --batch times processes, {at_once} here, got "
            f"{global_batch}; --accumulate follows from it and is not given beside it."
        )
    return global_batch // at_once


def _plan(
    run: Path,
    steps: int,
    batch: int,
    accumulate: int,
    learning_rate: float,
    seed: int,
    precision: str,
    sharding: str,
) -> TrainPlan:
    from .decoders.training_plan import TrainPlan

    return TrainPlan(
        out=run,
        steps=steps,
        batch=batch,
        accumulate=accumulate,
        learning_rate=learning_rate,
        seed=seed,
        precision=precision,
        sharding=sharding,
        save_every_s=60.0,
    )


def patch_samples(patch_s: float, modality: str) -> int:
    """Samples of a patch at 500 Hz; unless somebody chose, what was published for the modality."""
    seconds = patch_s or (1.0 if modality == "EEG" else 0.1)
    return round(500 * seconds)


def open_teacher(path: Path) -> Teacher:
    """A teacher of our own, or a published one; a converted copy was fetched with its hash."""
    from .decoders.fetching import recorded_sha256
    from .decoders.published import load_published
    from .decoders.teacher_files import load_teacher

    if path.suffix == ".pt":
        return load_published(path)
    recorded = recorded_sha256(path)
    return load_published(path, sha256=recorded) if recorded else load_teacher(path)


def need_torch() -> None:
    """Raise `ConfigError` where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise ConfigError(
            "This needs PyTorch, which is not installed: pip install 'diverloop[torch]'."
        )


def _tell_made(what: str, path: Path, json: bool) -> None:
    from .decoders.downloading import file_sha256

    sha256 = file_sha256(path)
    if json:
        print_json({what: str(path), "sha256": sha256})
    else:
        out.print(f"The {what} is in {path} ({sha256[:12]}).", highlight=False)
