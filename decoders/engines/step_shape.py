"""The interface of a student's step: names and shapes of what goes in and comes out.

No torch and no engine, so that whoever runs a compiled student needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import EngineError
from ..student_config import HEAD_DIM, StudentConfig

OPSET = 20
"""Of the standard operators; every engine here reads it."""

ABOUT = "diverloop"
"""Key of the graph's metadata: one JSON text."""

INPUTS = ("hop_uv", "usable", "tail", "heard")
"""What every step takes first; keys and values of each layer follow."""

Sized = tuple[tuple[int, ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShape:
    """Names, shapes and types of a step.

    Parameters
    ----------
    inputs, outputs : mapping of str to (shape, type)
        In order; the state's outputs are called ``next_...``.
    """

    inputs: Mapping[str, Sized]
    outputs: Mapping[str, Sized]

    @classmethod
    def of(cls, config: StudentConfig, n_rows: int) -> Self:
        """Of a student on so many rows."""
        layers = range(config.n_layers)
        remembered: dict[str, Sized] = {
            f"{kind}_{layer}": (
                (1, config.heads_of(layer), config.context, config.n_latents, HEAD_DIM),
                "float32",
            )
            for kind in ("keys", "values")
            for layer in layers
        }
        state: dict[str, Sized] = {
            "tail": ((1, n_rows, config.tail), "float32"),
            "heard": ((1,), "int64"),
            **remembered,
        }
        return cls(
            inputs={
                "hop_uv": ((n_rows, config.hop), "float32"),
                "usable": ((n_rows,), "bool"),
                **state,
            },
            outputs={
                "embedding": ((config.n_features(n_rows),), "float32"),
                **{f"next_{name}": sized for name, sized in state.items()},
            },
        )

    @property
    def state(self) -> tuple[str, ...]:
        """Names of the state's inputs."""
        return tuple(self.inputs)[2:]

    @property
    def rings(self) -> tuple[str, ...]:
        """Those of them that are rings: a hop changes one slot of each and reads it after that."""
        return self.state[2:]

    def empty_state(self) -> dict[str, NDArray[np.generic]]:
        """The state of a stream that has not begun."""
        return {
            name: np.zeros(self.inputs[name][0], np.dtype(self.inputs[name][1]))
            for name in self.state
        }

    def dims(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all inputs and outputs, without types."""
        return {name: dims for name, (dims, _) in (*self.inputs.items(), *self.outputs.items())}


def refuse_difference(
    found: Mapping[str, Any], expected: Mapping[str, Any], what: str = "The compiled student"
) -> None:
    """Raise `EngineError`, naming the first that differs, unless two interfaces are the same.

    Parameters
    ----------
    found, expected : mapping of str to anything that can be compared
        By name: what a graph or a plan has, and what the model needs.
    what : str
        How the sentence begins.
    """
    if dict(found) != dict(expected):
        wrong = sorted(name for name, _ in set(found.items()) ^ set(expected.items()))[0]
        raise EngineError(
            f"{what} has {wrong} {found.get(wrong)}, the model needs {expected.get(wrong)}: it "
            f"belongs to another model, so compile this one."
        )
