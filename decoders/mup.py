"""Learning rates that stay right when a model grows: muP for AdamW [1]_.

AdamW moves every weight by about its learning rate, whatever the gradient. A matrix that adds up
over its input then moves its output in proportion to the width, so such matrices, and only they,
get a learning rate that falls with the width. Weight decay rises by the same factor: learning rate
times decay, by which AdamW shrinks a weight in a step, stays the same.

Which dimensions grow is read off a second model of the same make and base width: where the two
differ in size, a dimension grows.

=======================================  =============  =============
parameter                                learning rate  weight decay
=======================================  =============  =============
hidden matrices: two growing dimensions  x 1/m          x m
input matrices, tables and readouts      x 1            x 1
gains, biases, bias tables               x 1            x 1, vectors 0
=======================================  =============  =============

m is how many times more inputs the matrix has than in the base model. Readouts do not get a smaller
learning rate because the model itself divides their input by m, as DIVER-1 does [2]_.

References
----------
.. [1] Yang, Hu, Babuschkin et al. Tensor programs V: tuning large neural networks via zero-shot
   hyperparameter transfer. arXiv:2203.03466, 2022. Table 8.
.. [2] Han et al. DIVER-1: deep integration of vast electrophysiological recordings at scale. 2025.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..runtime.errors import ConfigError
from .training_plan import ParameterGroup


def mup_groups(module: nn.Module, base: nn.Module) -> list[ParameterGroup]:
    """Put parameters into groups by how much wider than the base model they are.

    Parameters
    ----------
    module : torch.nn.Module
        What is to be trained.
    base : torch.nn.Module
        The same make at the width for which learning rate and weight decay are meant; only its
        shapes are looked at, so it may live on the meta device.

    Returns
    -------
    groups : list of ParameterGroup
        For `train`; frozen parameters are in none.

    Raises
    ------
    ConfigError
        If the two are not of the same make.
    """
    shapes = {name: tuple(value.shape) for name, value in base.named_parameters()}
    found: dict[tuple[float, bool], list[str]] = {}
    for name, value in module.named_parameters():
        if not value.requires_grad:
            continue
        if len(shapes.get(name, ())) != value.dim() or name not in shapes:
            raise ConfigError(
                f"The base model has no parameter {name!r} with {value.dim()} dimensions: make it "
                f"like the model, with another width only."
            )
        key = (width_factor(tuple(value.shape), shapes[name]), value.dim() >= 2)
        found.setdefault(key, []).append(name)
    return [
        ParameterGroup(
            names=tuple(names),
            learning_rate=1 / factor,
            weight_decay=factor if is_matrix else 0.0,
        )
        for (factor, is_matrix), names in found.items()
    ]


def width_factor(shape: Sequence[int], base_shape: Sequence[int]) -> float:
    """Tell by how much the learning rate of a parameter must fall.

    Parameters
    ----------
    shape, base_shape : sequence of int
        Of the parameter here and in the base model: (outputs, inputs, ...) for matrices.

    Returns
    -------
    factor : float
        How many times more inputs it has, if it grows in both directions; else 1.
    """
    grows = [size != base for size, base in zip(shape, base_shape, strict=True)]
    return shape[1] / base_shape[1] if sum(grows) >= 2 else 1.0
