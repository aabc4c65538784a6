"""The training loop that pretraining and distillation share.

Every random choice of a run follows from its seed, the step and which of the step's batches it is,
never from what was drawn before. So a run that was killed and started again draws what it would
have drawn, and ends with the same weights; and two processes with one batch each draw what one
process with two would.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn

from ..runtime.claim import Claim
from ..runtime.errors import ConfigError, TrainingStopped
from .ranks import Ranks, Spread, join, learn_together
from .training_files import Mark, load_checkpoint, newest_checkpoint, save_checkpoint
from .training_log import TrainingLog
from .training_plan import ParameterGroup, TrainPlan, TrainReport

Progress = Callable[[str, int, int], None]
"""Called with a text, how much is done, and of how much."""

LossOf = Callable[[Any, Any], tuple[torch.Tensor, Mapping[str, float | torch.Tensor]]]
"""``loss_of(module, batch)``: the loss to go down, and its parts for the log."""

Draw = Callable[[np.random.Generator], Any]
"""``draw(rng)``: one batch, tensors or tuples of tensors; all that is random comes from ``rng``."""


def train(
    module: nn.Module,
    loss_of: LossOf,
    draw: Draw,
    groups: Sequence[ParameterGroup],
    plan: TrainPlan,
    progress: Progress | None = None,
    validate: Callable[[Any], Mapping[str, float]] | None = None,
    identity: Mapping[str, Any] | None = None,
) -> TrainReport:
    """Train a module with AdamW, or go on with a run that was interrupted.

    Under `torchrun` the processes share the work; each sees its own batches.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained, in place. With FSDP its parameters end as shards: take the weights from
        the report's checkpoint with `read_weights`.
    loss_of : callable
        ``loss_of(module, batch) -> (loss, parts)``. Torch's global generator is seeded before
        each call, so dropout is repeated too. The parts have the same names in every call.
    draw : callable
        ``draw(rng) -> batch``, for one batch of one process. Called from threads if the plan
        reads ahead.
    groups : sequence of ParameterGroup
        Every trainable parameter in exactly one of them.
    plan : TrainPlan
        How to train, and where the run lives.
    progress : callable, optional
        Told after every step, on process 0.
    validate : callable, optional
        ``validate(module) -> numbers``, in evaluation mode and without gradients.
    identity : mapping, optional
        What else the run depends on, such as the hash of its data, in terms of JSON: a checkpoint
        with another identity is refused.

    Returns
    -------
    report : TrainReport
        Of the whole run.

    Raises
    ------
    ConfigError
        If the groups do not fit the module, the folder holds the checkpoint of another run, or
        another process trains in it.
    TrainingStopped
        If the loss is no longer a number, or the run was asked to stop (Ctrl-C, SIGTERM): a
        checkpoint was saved then, and the same call goes on from it.
    """
    ranks = join(plan.device)
    gpus = [ranks.device] if ranks.device.type == "cuda" else []
    with _alone(plan, ranks), torch.random.fork_rng(gpus), _asked_to_stop() as asked:
        run = _Run(module, loss_of, groups, plan, ranks, identity or {})
        return run.to_the_end(draw, progress or _silent, validate, asked)


def plain_groups(module: nn.Module) -> list[ParameterGroup]:
    """Put matrices into a group with weight decay, and vectors into one without.

    Parameters
    ----------
    module : torch.nn.Module
        What is to be trained.

    Returns
    -------
    groups : list of ParameterGroup
        For `train`.
    """
    named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    matrices = tuple(name for name, value in named if value.dim() >= 2)
    vectors = tuple(name for name, value in named if value.dim() < 2)
    groups = [ParameterGroup(names=matrices), ParameterGroup(names=vectors, weight_decay=0.0)]
    return [group for group in groups if group.names]


class _Run:
    """One run in one process: its weights, its optimiser and where it stands."""

    def __init__(
        self,
        module: nn.Module,
        loss_of: LossOf,
        groups: Sequence[ParameterGroup],
        plan: TrainPlan,
        ranks: Ranks,
        identity: Mapping[str, Any],
    ) -> None:
        self._plan, self._ranks, self._loss_of = plan, ranks, loss_of
        self._settings = {
            **plan.shaping(ranks.n),
            "model": {name: list(value.shape) for name, value in module.state_dict().items()},
            "groups": [
                [list(group.names), group.learning_rate, group.weight_decay] for group in groups
            ],
            "identity": dict(identity),
        }
        self._folder = plan.out / "checkpoints"
        self._module = module.to(ranks.device)
        self._spread = Spread(self._module, ranks, plan.sharding)
        self._trained = [value for value in module.parameters() if value.requires_grad]
        self._optimizer = _optimizer(module, groups, plan, ranks)
        found = newest_checkpoint(self._folder, self._settings, ranks)
        mark = Mark(step=0, seconds=0.0, settings=self._settings)
        if found is not None:
            load_checkpoint(found[0], module, self._optimizer)
            mark = found[1]
        self._step, self._seconds, self._waiting = mark.step, mark.seconds, mark.waiting
        self._path = found[0] if found is not None else None
        self._resumed_from = self._step

    def to_the_end(
        self,
        draw: Draw,
        progress: Progress,
        validate: Callable[[Any], Mapping[str, float]] | None,
        asked: threading.Event,
    ) -> TrainReport:
        """Make the steps that are left."""
        plan = self._plan
        saved = time.monotonic()
        began = saved - self._seconds
        validation: Mapping[str, float] = {}
        self._module.train()
        log = TrainingLog(plan, self._ranks, self._step, self._seconds, self._waiting)
        with _Feed(draw, plan, self._ranks, self._step) as feed, closing(log):
            while self._step < plan.steps:
                values = self._update(feed)
                now = time.monotonic()
                wishes = self._ranks.mean(
                    [float(asked.is_set()), float(now - saved >= plan.save_every_s)]
                )
                self._seconds = now - began
                last = self._step == plan.steps
                log.step(self._step, self._seconds, values, last)
                self._waiting = log.waiting
                if validate is not None and (last or self._step % plan.validate_every == 0):
                    validation = self._validate(validate)
                    log.validation(self._step, validation)
                if wishes[0] or wishes[1] or last:
                    self._save()
                    saved = time.monotonic()
                if self._ranks.rank == 0:
                    progress(f"loss {values['loss']:.4f}", self._step, plan.steps)
                if wishes[0] and not last:
                    raise TrainingStopped(
                        f"Stopped as asked at step {self._step} of {plan.steps}: the same command "
                        f"goes on from {self._path}."
                    )
        if validate is not None and not validation:
            validation = self._validate(validate)
        assert self._path is not None  # the last step saves, and a finished run was saved
        return TrainReport(
            steps=self._step,
            resumed_from=self._resumed_from,
            seconds=self._seconds,
            loss=log.recent_loss,
            validation=validation,
            checkpoint=self._path,
        )

    def _update(self, feed: _Feed) -> dict[str, float]:
        """One step: gradients of all batches, clipped, into the weights."""
        plan, device = self._plan, self._ranks.device
        rate = plan.rate_at(self._step)
        sums: dict[str, float] = {}
        for micro in range(plan.accumulate):
            share = micro * self._ranks.n + self._ranks.rank
            batch = to_device(feed.next(), device)
            torch.manual_seed(_torch_seed(plan.seed, self._step, share))
            with self._spread.holding_back(micro < plan.accumulate - 1):
                with torch.autocast(device.type, torch.bfloat16, plan.precision == "bf16"):
                    loss, parts = self._spread(partial(self._call, batch))
                (loss / plan.accumulate).backward()
            for name, value in {"loss": loss, **parts}.items():
                number = float(value.detach() if isinstance(value, torch.Tensor) else value)
                sums[name] = sums.get(name, 0.0) + number / plan.accumulate
        norm = _clip(self._trained, plan.clip_norm)
        values = dict(zip(sums, self._ranks.mean(list(sums.values())), strict=True))
        if not (math.isfinite(norm) and math.isfinite(values["loss"])):
            raise TrainingStopped(self._not_a_number(values["loss"], norm))
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        learn_together(self._module, self._ranks)
        self._step += 1
        return {**values, "lr": plan.learning_rate * rate, "grad_norm": norm}

    def _call(self, batch: Any, module: nn.Module) -> Any:
        return self._loss_of(module, batch)

    def _not_a_number(self, loss: float, norm: float) -> str:
        kept = f"{self._path} is the last good checkpoint" if self._path else "nothing was saved"
        return (
            f"At step {self._step} the loss is {loss:g} and the gradient {norm:g} long; {kept}: "
            f"train in another folder with a learning_rate below {self._plan.learning_rate:g}, a "
            f"longer warmup or precision 'fp32', and check the data for values that are not finite."
        )

    def _validate(self, validate: Callable[[Any], Mapping[str, float]]) -> Mapping[str, float]:
        self._module.eval()
        try:
            return dict(self._spread.look(validate))
        finally:
            self._module.train()

    def _save(self) -> None:
        mark = Mark(
            step=self._step, seconds=self._seconds, settings=self._settings, waiting=self._waiting
        )
        self._path = save_checkpoint(
            self._folder, self._module, self._optimizer, mark, self._ranks, self._plan.shard_bytes
        )


def _optimizer(
    module: nn.Module, groups: Sequence[ParameterGroup], plan: TrainPlan, ranks: Ranks
) -> torch.optim.AdamW:
    """AdamW over the groups, each parameter in exactly one."""
    left = {name: value for name, value in module.named_parameters() if value.requires_grad}
    made = []
    for group in groups:
        unknown = [name for name in group.names if name not in left]
        if unknown:
            raise ConfigError(
                f"The parameter {unknown[0]!r} of a group is in another group too, is frozen, or "
                f"is not in the model: put every trainable parameter into exactly one group."
            )
        made.append(
            {
                "params": [left.pop(name) for name in group.names],
                "lr": plan.learning_rate * group.learning_rate,
                "peak": plan.learning_rate * group.learning_rate,
                "weight_decay": plan.weight_decay * group.weight_decay,
            }
        )
    if left:
        raise ConfigError(
            f"The parameter {next(iter(left))!r} is in no group: put every trainable parameter "
            f"into exactly one group."
        )
    return torch.optim.AdamW(made, betas=plan.betas, fused=ranks.device.type == "cuda")


def _clip(parameters: Sequence[nn.Parameter], longest: float) -> float:
    """Shorten the gradient over all parameters; returns how long it was."""
    from torch.distributed.tensor import DTensor

    norm = nn.utils.clip_grad_norm_(parameters, longest)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def to_device(batch: Any, device: torch.device) -> Any:
    """Move every tensor in nested tuples to a device."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, tuple):
        moved = [to_device(part, device) for part in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)
    return batch


def _torch_seed(seed: int, step: int, share: int) -> int:
    state = np.random.SeedSequence([seed, step, share, 1]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))  # torch wants it to fit a signed integer


class _Feed:
    """The batches of this process, in order, drawn ahead by threads if so planned."""

    def __init__(self, draw: Draw, plan: TrainPlan, ranks: Ranks, first_step: int) -> None:
        self._draw, self._seed = draw, plan.seed
        self._order = (
            (step, micro * ranks.n + ranks.rank)
            for step in range(first_step, plan.steps)
            for micro in range(plan.accumulate)
        )
        self._pool = ThreadPoolExecutor(plan.read_ahead) if plan.read_ahead else None
        self._waiting: deque[Future[Any]] = deque()
        self._n_ahead = 2 * plan.read_ahead

    def __enter__(self) -> _Feed:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def next(self) -> Any:
        """Return the next batch."""
        if self._pool is None:
            return self._one(*next(self._order))
        for place in self._order:
            self._waiting.append(self._pool.submit(self._one, *place))
            if len(self._waiting) > self._n_ahead:
                break
        return self._waiting.popleft().result()

    def _one(self, step: int, share: int) -> Any:
        return self._draw(np.random.default_rng([self._seed, step, share]))


@contextmanager
def _alone(plan: TrainPlan, ranks: Ranks) -> Iterator[None]:
    """Refuse a second run in the same folder: workers outlive a `torchrun` that was killed."""
    refusal = (
        f"Another process on this machine trains in {plan.out}, perhaps one that outlived the "
        f"torchrun which started it: let it end, or stop it, and give the command again."
    )
    plan.out.mkdir(parents=True, exist_ok=True)  # open to whom it is usually; locks are private
    claim = Claim("training", plan.out, refusal) if ranks.rank == 0 else None
    try:
        yield
    finally:
        if claim is not None:
            claim.release()


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; a second one acts as ever."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        restore()

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        restore()


def _silent(_text: str, _done: int, _of: int) -> None:
    """Tell nobody."""
