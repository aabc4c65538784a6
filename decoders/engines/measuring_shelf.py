"""What engines read that are measured: weights and graphs of one student on so many rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .measuring_worker import TEACHER, Order, hops_of, places_mm

if TYPE_CHECKING:
    from ..student import Student

_GRAPH_OF = {"fp32": "fp32", "bf16": "fp32", "fp16": "fp16", "int8": "int8"}
_IN_TORCH = ("torch", "torch-compiled", "torch-cuda")


def with_context(student: Student, context: int) -> Student:
    """A student that attends to so many hops.

    Parameters
    ----------
    student : Student
        Not changed.
    context : int
        Hops.

    Returns
    -------
    other : Student
        With the same weights, but biases of age that are cut, or whose oldest is repeated.
    """
    import torch

    from ..student import Student as Made

    if context == student.config.context:
        return student
    with torch.random.fork_rng(devices=[]):
        other = Made(replace(student.config, context=context))
    weights = dict(student.state_dict())
    for name in [name for name in weights if name.endswith("age_bias")]:
        oldest = weights[name][:, -1:].expand(-1, context)
        weights[name] = torch.cat([weights[name], oldest], dim=1)[:, :context]
    other.load_state_dict(weights)
    return other.eval()


class Shelf:
    """What the engines of one size read, made when the first of them asks.

    Parameters
    ----------
    student : Student
        Whose hop is measured.
    channels : int
        Rows of the stream.
    folder : Path
        Where files go; exists.
    seed : int
        Of places and signal.
    """

    def __init__(self, student: Student, channels: int, folder: Path, seed: int) -> None:
        self.config, self.channels = student.config, channels
        self._student, self._seed = student, seed
        self._folder = folder / f"{channels}-{student.config.context}"
        self._folder.mkdir()
        self._graphs: dict[str, Path] = {}

    def order(self, engine: str, precision: str, window_s: float) -> Order:
        """What a worker needs to open one engine.

        Parameters
        ----------
        engine, precision : str
            As `Order` has them.
        window_s : float
            What the teacher reads.

        Returns
        -------
        order : Order
            With paths of files that exist.

        Raises
        ------
        ConfigError, EngineError
            If what the engine reads cannot be made on this machine.
        """
        graph, weights = "", ""
        if engine in _IN_TORCH:
            weights = str(self._weights())
        elif engine != TEACHER:
            graph = str(self._graph(_GRAPH_OF[precision]))
        return Order(
            engine=engine,
            precision=precision,
            channels=self.channels,
            config=self.config,
            student=weights,
            graph=graph,
            window_s=window_s,
            seed=self._seed,
        )

    def _weights(self) -> Path:
        from ..student_files import save_student

        path = self._folder / "student.safetensors"
        if not path.exists():
            save_student(self._student, path, {})
        return path

    def _graph(self, precision: str) -> Path:
        if precision not in self._graphs:
            path = self._folder / f"{precision}.onnx"
            path.write_bytes(self._made(precision))
            self._graphs[precision] = path
        return self._graphs[precision]

    def _made(self, precision: str) -> bytes:
        if precision == "fp32":
            return _exported(self._student, self.channels, self._seed)
        whole = self._graph("fp32").read_bytes()
        if precision == "fp16":
            from .half_precision import to_half

            return to_half(whole)
        from .quantised_step import quantise_step
        from .step_shape import StepShape

        shape = StepShape.of(self.config, self.channels)
        hops = hops_of(self.channels, self.config.hop, self._seed)
        return quantise_step(whole, shape, hops, symmetric=True)


def _exported(student: Student, channels: int, seed: int) -> bytes:
    import torch

    from .step_export import Step, export_step

    modality = 1 if student.config.high_gamma else 0
    places = torch.from_numpy(places_mm(channels, seed))
    return export_step(Step(student, places, modality), {"purpose": "measuring"})
