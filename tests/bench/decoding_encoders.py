"""Frozen encoders as sources of features for `decoding_heads`.

A teacher gives the mean over its patches for each channel (``channels``), the mean over channels
too (``pooled``), and for evoked responses its patches kept apart (``patches``: mean over channels).
A teacher with patches of 1 s reads windows that are no multiple of it with zeros in front: only key
presses, 0.5 s long. A student gives its latents, averaged over hops (``mean``) or, for evoked
responses, hop by hop as well (``hops``).

Where channels are lost, teacher and student are told which; the teacher's features of a lost
channel become NaN, which a head takes for the mean of the training data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from decoding_heads import Blocks, Bools, Fitted, Floats, Ints, Views
from decoding_rivals import without
from decoding_tasks import Task
from numpy.typing import NDArray
from torch import Tensor

from diverloop.decoders.student import Student
from diverloop.decoders.teacher import Teacher

Encode = Callable[[Task, Floats, Bools | None], Views]

_BATCH_SAMPLES = 400_000


class Remembered:
    """Features of windows by their content: tasks of one family share most of their windows."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._family = ""
        self._known: dict[bytes, dict[str, Floats]] = {}

    def __call__(self, task: Task, windows: Floats, usable: Bools | None = None) -> Views:
        """Views of windows, computed where they are not known."""
        if usable is not None:
            return self._encode(task, windows, usable)
        if task.family != self._family:
            self._family, self._known = task.family, {}
        keys = [hashlib.sha256(window.tobytes()).digest() for window in windows]
        new = [row for row, key in enumerate(keys) if key not in self._known]
        if new:
            for name, blocks in self._encode(task, windows[new], None).items():
                for row, values in zip(new, blocks[0], strict=True):
                    self._known.setdefault(keys[row], {})[name] = values
        names = self._known[keys[0]]
        return {name: [np.stack([self._known[key][name] for key in keys])] for name in names}


class Frozen:
    """Source whose encoder learns nothing from the task."""

    def __init__(self, task: Task, encode: Remembered) -> None:
        self._task, self._encode = task, encode
        self._train = encode(task, task.windows_train)
        self._test = encode(task, task.windows_test)
        self._lost: tuple[bytes, Views] = (b"", {})

    def fitted(self, rows: Ints) -> Fitted:
        """Nothing to fit."""
        return self

    def train(self, rows: Ints) -> Views:
        """Views of some training windows."""
        return {name: [block[rows] for block in blocks] for name, blocks in self._train.items()}

    def test(self, usable: Bools | None = None) -> Views:
        """Views of the test windows."""
        if usable is None:
            return self._test
        if self._lost[0] != usable.tobytes():  # several heads ask for the same mask in turn
            views = self._encode(self._task, self._task.windows_test, usable)
            self._lost = (usable.tobytes(), views)
        return self._lost[1]


class Joined:
    """Source of the blocks of two others, of one view each."""

    def __init__(self, first: Any, first_view: str, second: Any, second_view: str) -> None:
        self._parts = ((first, first_view), (second, second_view))

    def fitted(self, rows: Ints) -> Fitted:
        """Both of them, fitted."""
        return _JoinedFit([(source.fitted(rows), view) for source, view in self._parts])


class _JoinedFit:
    def __init__(self, parts: list[tuple[Fitted, str]]) -> None:
        self._parts = parts

    def train(self, rows: Ints) -> Views:
        return {"joined": self._blocks([fit.train(rows)[view] for fit, view in self._parts])}

    def test(self, usable: Bools | None = None) -> Views:
        return {"joined": self._blocks([fit.test(usable)[view] for fit, view in self._parts])}

    @staticmethod
    def _blocks(parts: list[Blocks]) -> Blocks:
        return [block for blocks in parts for block in blocks]


def teacher_views(teacher: Teacher) -> Encode:
    """How a teacher encodes windows."""
    patch = teacher.config.patch

    def encode(task: Task, windows: Floats, usable: Bools | None) -> Views:
        def some(x: Tensor, about: dict[str, Tensor]) -> dict[str, Tensor]:
            short = -x.shape[2] % patch
            x = torch.nn.functional.pad(x, (short, 0)) if short else x
            subtypes = torch.from_numpy(task.subtypes).expand(len(x), -1)
            features = teacher(x, subtypes=subtypes, **about)  # (n, C, N, d)
            there = torch.ones(len(task.channel_names), dtype=torch.bool)
            there = there if usable is None else torch.from_numpy(usable)
            by_channel = features.mean(dim=2)
            by_channel[:, ~there] = torch.nan
            found = {"channels": by_channel.flatten(1), "pooled": features[:, there].mean((1, 2))}
            if task.evoked and features.shape[2] > 1:
                found["patches"] = features[:, there].mean(1).flatten(1)
            return found

        return _in_batches(task, windows, usable, some)

    return encode


def student_views(student: Student) -> Encode:
    """How a student encodes windows."""

    def encode(task: Task, windows: Floats, usable: Bools | None) -> Views:
        def some(x: Tensor, about: dict[str, Tensor]) -> dict[str, Tensor]:
            heard = student(x[:, :, x.shape[2] % student.config.hop :], **about)
            channels = heard.channels.clone()  # (n, C, N, r)
            if usable is not None:
                channels[:, ~torch.from_numpy(usable)] = torch.nan
            found = {
                "mean": heard.latents.mean(dim=1).flatten(1),
                "channels": channels.mean(dim=2).flatten(1),
                "embedding": torch.cat(
                    [heard.latents.mean(dim=1).flatten(1), channels.mean(dim=2).flatten(1)], dim=1
                ),
            }
            if task.evoked:
                found["hops"] = heard.latents.flatten(1)
                found["course"] = channels.flatten(1)
            return found

        return _in_batches(task, windows, usable, some)

    return encode


@torch.inference_mode()
def _in_batches(
    task: Task,
    windows: Floats,
    usable: Bools | None,
    some: Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]],
) -> Views:
    windows = windows if usable is None else without(windows, usable, task)
    size = max(1, _BATCH_SAMPLES // (windows.shape[1] * windows.shape[2]))
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for first in range(0, len(windows), size):
        x = torch.from_numpy(np.ascontiguousarray(windows[first : first + size]))
        about = {
            "positions": torch.from_numpy(task.positions_mm).expand(len(x), -1, -1),
            "modality": torch.full((len(x),), int(task.modality != "EEG")),
        }
        if usable is not None:
            about["usable"] = torch.from_numpy(usable).expand(len(x), -1)
        for name, values in some(x, about).items():
            parts.setdefault(name, []).append(values.numpy())
    return {name: [np.concatenate(values)] for name, values in parts.items()}


# --- how alike two encoders are ------------------------------------------------------------------


def agreement(task: Task, teacher: Frozen, student: Frozen) -> dict[str, float]:
    """How much of the teacher's pooled features the student holds, on test windows.

    Their spaces differ, so a ridge regression from student to teacher is fitted on training windows
    (penalty: a hundredth of the total variance); ``cosine`` and ``explained`` (R2 against the
    training mean) are those of its predictions, both after the training mean is taken off. ``cka``
    is the linear centred kernel alignment, which needs no fit.
    """
    rows = np.arange(len(task.y_train))
    x, z = student.train(rows)["mean"][0], student.test()["mean"][0]
    y, w = teacher.train(rows)["pooled"][0], teacher.test()["pooled"][0]
    x, z, y, w = (part.astype(np.float64) for part in (x, z, y, w))
    z, w = z - x.mean(axis=0), w - y.mean(axis=0)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    gram = x @ x.T
    guess = z @ x.T @ np.linalg.solve(gram + 0.01 * np.trace(gram) * np.eye(len(x)), y)
    norms = np.linalg.norm(guess, axis=1) * np.linalg.norm(w, axis=1)
    return {
        "cosine": float(((guess * w).sum(axis=1) / np.maximum(norms, 1e-12)).mean()),
        "explained": float(1 - ((guess - w) ** 2).sum() / (w**2).sum()),
        "cka": _cka(z, w),
    }


def _cka(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    a, b = x @ x.T, y @ y.T
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
