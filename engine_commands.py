"""Commands about speed: compile a model's student, measure what runs it, measure the loop."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from .console import AsJson, facts_table, figures_table, out, plain_errors, print_json, progress_bar
from .runtime.errors import ConfigError

if TYPE_CHECKING:
    from .decoders.engines.compiled import Compiled, CompiledFile
    from .decoders.engines.engine import Bools, Hop
    from .runtime.bundle import Bundle
    from .runtime.messages import Samples
    from .training_sources import TrainingSource

Said = Callable[[str, int, int], None]

_PRECISIONS = {"cpu": "fp32", "cpu-int8": "int8", "gpu": "fp16"}
_CALIBRATION_S = 2.0  # length of the stretches that calibration is mixed from
_TIMED = 200  # hops
_WIDE = 130  # columns of a terminal that all figures fit into
_NARROW = ("engine", "ch", "p50 ms", "p99 ms", "x floor", "x torch")


def compile_model(
    bundle: Annotated[Path, typer.Argument(help="NAME.bundle with a student in it.")],
    target: Annotated[
        list[str] | None,
        typer.Option(help="cpu, cpu-int8, gpu, or rtx-8.9 (a compute capability); repeatable."),
    ] = None,
    on: Annotated[
        list[Path] | None,
        typer.Option(help="For cpu-int8: recording to find ranges on; repeatable."),
    ] = None,
    assume_unit: Annotated[
        str | None, typer.Option(help="Unit of recordings that name none.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Compile a model's student for speed; what is compiled goes into the bundle."""
    targets = tuple(dict.fromkeys(target or ("cpu",)))
    with plain_errors(json), progress_bar("compiling") as step:
        made = _compile(bundle, targets, tuple(on or ()), assume_unit, step)
    if json:
        print_json({"bundle": str(bundle), "files": made})
        return
    out.print(
        figures_table(
            ("file", "precision", "size", "off by", "a hop, here"),
            [
                (
                    one["file"],
                    one["precision"],
                    f"{one['bytes'] / 1e6:.1f} MB",
                    "-" if one["off_by"] is None else f"{one['off_by']:.1g}",
                    "-" if one["hop_ms"] is None else f"{one['hop_ms']:.1f} ms",
                )
                for one in made
            ],
        )
    )
    told = f"All of it lies in {bundle}/engines; sessions find it there."
    out.print(told, highlight=False, markup=False)


def bench_loop(
    channels: Annotated[int, typer.Option(help="Rows.")] = 64,
    rate_hz: Annotated[float, typer.Option(help="Sampling rate.")] = 1000.0,
    length_s: Annotated[float, typer.Option(help="Window.")] = 1.0,
    step_s: Annotated[float, typer.Option(help="Step.")] = 0.05,
    windows: Annotated[int, typer.Option(help="How many to measure.")] = 2000,
    conditioned: Annotated[bool, typer.Option(help="With reference and band-pass.")] = False,
    json: AsJson = False,
) -> None:
    """Measure what the loop itself costs on this machine."""
    from .runtime.benchmark import BenchmarkCase, run_case

    with plain_errors(json):
        case = BenchmarkCase(
            n_channels=channels,
            rate_hz=rate_hz,
            length_s=length_s,
            step_s=step_s,
            n_windows=windows,
            conditioned=conditioned,
        )
        figures = run_case(case)
    if json:
        print_json(figures)
        return
    out.print(
        f"{channels} channels at {rate_hz:g} Hz, {length_s:g} s windows every {step_s:g} s: the "
        f"loop itself takes {figures['p50_us']:.0f} us in the median, {figures['p99_us']:.0f} us "
        f"at the 99th percentile."
    )


def bench_engines(
    student: Annotated[str, typer.Argument(help="A shipped student, or the path of one.")] = (
        "eeg-s"
    ),
    engines: Annotated[
        str, typer.Option(help="NAME or NAME:PRECISION, with commas between.")
    ] = "torch,onnxruntime,onnxruntime:int8,openvino",
    channels: Annotated[str, typer.Option(help="Numbers of rows.")] = "1,8,32,64,128,256",
    contexts: Annotated[str, typer.Option(help="Hops looked back; the student's own if empty.")] = (
        ""
    ),
    rounds: Annotated[int, typer.Option(help="Turns that every engine takes.")] = 20,
    hops: Annotated[int, typer.Option(help="Hops in a turn.")] = 50,
    rest_s: Annotated[float, typer.Option(help="Pause before a hop; a session's is 0.1.")] = 0.0,
    ticks_s: Annotated[float, typer.Option(help="How long late ticks are counted.")] = 2.0,
    teacher: Annotated[bool, typer.Option("--teacher", help="Time a teacher as well.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Figure to draw: .svg, .png or .pdf.")] = None,
    json: AsJson = False,
) -> None:
    """Measure what a hop takes in every engine, side by side, against the arithmetic floor."""
    from .decoders.engines.measuring import MeasuringPlan, measure_all
    from .decoders.engines.measuring_figures import COLUMNS, refusals, table

    with plain_errors(json):
        plan = MeasuringPlan(
            student=student,
            engines=tuple(engines.split(",")),
            channels=_numbers("channels", channels),
            contexts=_numbers("contexts", contexts),
            rounds=rounds,
            hops=hops,
            rest_s=rest_s,
            ticks_s=ticks_s,
            teacher=teacher,
        )
        with progress_bar("measuring") as step:
            figures = measure_all(plan, step)
        if plot is not None:
            from .decoders.engines.measuring_plot import plot as draw

            draw(figures, plot)
    if json:
        print_json(figures)
        return
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in table(figures)]
    shown = COLUMNS if out.width >= _WIDE else _NARROW
    cells = [tuple(row[column] for column in shown) for row in rows]
    out.print(figures_table(shown, cells, f"A hop of {Path(student).stem}"))
    out.print(facts_table(refusals(figures)), highlight=False)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise ConfigError(
            f"--{name} takes whole numbers with commas between, got {text!r}."
        ) from error


bench = typer.Typer(help="Measure on this machine.", no_args_is_help=True)
bench.command("loop")(bench_loop)
bench.command("engines")(bench_engines)


def _compile(
    folder: Path,
    targets: tuple[str, ...],
    paths: tuple[Path, ...],
    assume_unit: str | None,
    step: Said,
) -> list[dict[str, Any]]:
    from .assembly import open_encoder
    from .decoders.engines.compiled import Compiled
    from .decoders.engines.compiling import compile_bundle
    from .decoders.engines.opening import EngineChoice, gpu_here, open_engine
    from .decoders.engines.tensorrt_plans import build_for
    from .runtime.bundle import load_bundle

    capabilities = [found for one in targets if (found := _capability(one)) is not None]
    bundle = load_bundle(folder)
    encoder = open_encoder(bundle)
    precisions = list(dict.fromkeys(_PRECISIONS.get(one, "fp16") for one in targets))
    wanted = paths and "int8" in precisions  # the others are compiled without signal
    hops = _calibration(bundle, paths, assume_unit) if wanted else None
    rows = []
    made = compile_bundle(encoder, bundle, precisions, hops, step)
    compiled = Compiled.of(folder, bundle.card.sha256)
    assert compiled is not None
    for file, error in made:
        hop_ms = _hop_ms(compiled, file, encoder) if file.precision != "fp16" else None
        rows.append(_row(compiled, file, error, hop_ms))
    rows += [_row(compiled, build_for(compiled, "fp16", one)) for one in capabilities]
    if "gpu" in targets and gpu_here():  # built, kept and tested as a session will find it
        open_engine(encoder, bundle, EngineChoice(name="tensorrt", fallback=False)).engine.close()
        compiled = Compiled.of(folder, bundle.card.sha256) or compiled
        rows += [_row(compiled, file) for file in compiled.index.files if file.made_for]
    return rows


def _capability(target: str) -> tuple[int, int] | None:
    """Of ``rtx-8.9``; None for the other targets; raises `ConfigError` for what is none."""
    if target in _PRECISIONS:
        return None
    found = re.fullmatch(r"rtx-(\d+)\.(\d)", target)
    if found is None:
        raise ConfigError(
            f"--target is {', '.join(_PRECISIONS)} or rtx-8.9 with a compute capability, got "
            f"{target!r}."
        )
    return int(found[1]), int(found[2])


def _calibration(
    bundle: Bundle, paths: tuple[Path, ...], assume_unit: str | None
) -> Iterator[tuple[Hop, Bools]]:
    """Conditioned signal of the model's rows, with artefacts and absent rows mixed in."""
    from .decoders.engines.calibration_hops import calibration_hops
    from .training_sources import recordings

    windows = [cut for one in recordings(paths, assume_unit) for cut in _stretches(bundle, one)]
    if not windows:
        raise ConfigError(
            f"--on: {', '.join(path.name for path in paths)} holds no {_CALIBRATION_S:g} s without "
            f"a hole once the filters have settled: name a longer recording."
        )
    return calibration_hops(np.stack(windows), _hop_of(bundle))


def _stretches(bundle: Bundle, source: TrainingSource) -> Iterator[Samples]:
    """Stretches of one length, none of them across a hole."""
    from .assembly import open_conditioner
    from .decoders.student_config import RATE_HZ
    from .runtime.card import pick_rows
    from .runtime.clock import VirtualClock
    from .training_sources import settled

    length = round(_CALIBRATION_S * RATE_HZ)
    stream, conditioner = source.make(VirtualClock()), open_conditioner(bundle)
    stream.open()
    try:
        rows = pick_rows(bundle.card, stream.spec)
        conditioner.open(stream.spec)
        held: list[Samples] = []
        for starts, samples in settled(stream, conditioner, rows):
            held = [samples] if starts else [*held, samples]
            while sum(part.shape[1] for part in held) >= length:
                whole = np.concatenate(held, axis=1)
                yield whole[:, :length]
                held = [whole[:, length:]]
    finally:
        stream.close()


def _hop_of(bundle: Bundle) -> int:
    """Samples of a hop of a bundle's student."""
    return int(bundle.card.encoder_config["architecture"]["hop"])


def _hop_ms(compiled: Compiled, file: CompiledFile, encoder: Any) -> float:
    """Median time of a hop on ONNX Runtime, one thread."""
    from .decoders.engines.onnx_engine import OnnxEngine
    from .decoders.engines.step_shape import StepShape

    shape = StepShape.of(encoder.architecture, len(encoder.config.positions_mm))
    engine = OnnxEngine(compiled.read(file), shape, precision=file.precision)
    probe = compiled.probe()
    hop, usable = probe.hops_uv[0], probe.usable[0]
    took_s = []
    for _ in range(_TIMED):
        began_s = time.perf_counter()
        engine.hear(hop, usable)
        took_s.append(time.perf_counter() - began_s)
    engine.close()
    return 1e3 * float(np.median(took_s))


def _row(
    compiled: Compiled, file: CompiledFile, off_by: float | None = None, hop_ms: float | None = None
) -> dict[str, Any]:
    return {
        "file": file.name,
        "precision": file.precision,
        "made_for": file.made_for,
        "sha256": file.sha256,
        "bytes": (compiled.folder / file.name).stat().st_size,
        "off_by": off_by,
        "hop_ms": hop_ms,
    }
