"""Training the causal network with the CTC loss, in torch; what serves is `network`.

Connectionist temporal classification needs to know what was said, not when [1]_. From nothing it
says blank for long, so the first rounds learn from a flat start: sounds spread evenly over the
attempt, as for hidden Markov models [2]_. White noise and a constant offset for each utterance
stand for what another day would bring [3]_.

References
----------
.. [1] Graves, Fernández, Gomez, Schmidhuber. Connectionist temporal classification. ICML, 2006.
.. [2] Young, Evermann, Gales, et al. The HTK book. Cambridge University, 2006.
.. [3] Willett, Kunz, Fan, et al. A high-performance speech neuroprosthesis. Nature, 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ...runtime.errors import ConfigError
from .beam import BLANK
from .error_rates import error_rate
from .greedy import BestPath

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """What can be chosen about `train_network`.

    Parameters
    ----------
    n_hidden, n_layers : int
        Units of a layer, 4 to 1024, and layers, 1 to 4.
    epochs, patience : int
        Most rounds through the utterances, and rounds without progress on those held out.
    flat_epochs : int
        How many of them learn from a flat start, 0 to 1000.
    batch : int
        Utterances of a step, 1 to 256.
    rate : float
        Largest step size, in (0, 1).
    noise, offset : float
        Spread of the white noise and of the offsets, 0 to 5 standard deviations of a feature.
    lost : float
        Share of the features that are silent in an utterance, 0 to 0.5.
    dropout : float
        Share of units that are silent in a step, 0 to 0.9.
    seed : int
        For weights, order and noise.
    """

    n_hidden: int = 160
    n_layers: int = 2
    epochs: int = 32
    patience: int = 8
    flat_epochs: int = 5
    batch: int = 16
    rate: float = 4e-3
    noise: float = 0.6
    offset: float = 0.2
    lost: float = 0.05
    dropout: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("n_hidden", 4, 1024),
            ("n_layers", 1, 4),
            ("epochs", 1, 10_000),
            ("patience", 1, 10_000),
            ("flat_epochs", 0, 1000),
            ("batch", 1, 256),
            ("rate", 1e-6, 1),
            ("noise", 0, 5),
            ("offset", 0, 5),
            ("lost", 0, 0.5),
            ("dropout", 0, 0.9),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"training.{name} must be in [{low:g}, {high:g}], got {value:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An utterance as the network learns it.

    Parameters
    ----------
    frames : ndarray of float32, shape (n_frames, n_in)
        From well before the attempt to well behind it.
    tokens : tuple of int
        What was said.
    latest : int
        Training begins with a frame between the first and this one, at most that of the onset.
    onset, offset : int
        First frame of the attempt, and one past its last.
    """

    frames: Floats32
    tokens: tuple[int, ...]
    latest: int
    onset: int
    offset: int

    def flat(self) -> NDArray[np.int64]:
        """What each frame would be if all sounds were equally long, shape (n_frames,)."""
        places = np.arange(len(self.frames)) - self.onset
        n = len(self.tokens)
        spread = np.clip(places * n // (self.offset - self.onset), 0, n - 1)
        inside = (places >= 0) & (places < self.offset - self.onset)
        return np.where(inside, np.array(self.tokens)[spread], BLANK)


class SpeechNetwork(nn.Module):
    """Gated recurrent units, then one score for blank and each token.

    Parameters
    ----------
    n_in, n_tokens : int
        Features of a frame; tokens with the blank.
    config : TrainingConfig
        Sizes.
    """

    def __init__(self, n_in: int, n_tokens: int, config: TrainingConfig) -> None:
        super().__init__()
        between = config.dropout if config.n_layers > 1 else 0.0
        self.units = nn.GRU(
            n_in,
            config.n_hidden,
            config.n_layers,
            batch_first=True,
            dropout=between,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.n_hidden, n_tokens)

    def forward(self, frames: Tensor) -> Tensor:
        """Scores (B, T, n_tokens) of frames (B, T, n_in)."""
        scores: Tensor = self.out(self.dropout(self.units(frames)[0]))
        return scores

    def to_arrays(self) -> dict[str, Floats32]:
        """Weights by the names of `CausalNetwork`."""
        arrays = {name: value.detach().numpy() for name, value in self.units.named_parameters()}
        arrays |= {
            "weight_out": self.out.weight.detach().numpy(),
            "bias_out": self.out.bias.detach().numpy(),
        }
        return {name: array.copy() for name, array in arrays.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training leaves.

    Parameters
    ----------
    arrays : dict of str to ndarray
        For `CausalNetwork`.
    losses, error_rates : tuple of float
        CTC loss for each token, and token error rate of the best path, on the utterances held out,
        after each round.
    """

    arrays: dict[str, Floats32]
    losses: tuple[float, ...]
    error_rates: tuple[float, ...]

    @property
    def best(self) -> int:
        """Round whose weights these are.

        The loss blames a network for being sure long before it errs more: both count.
        """
        return int(np.argmin(np.array(self.error_rates) + 0.1 * np.array(self.losses)))


def train_network(
    spoken: Sequence[Spoken],
    held_out: Sequence[Spoken],
    n_tokens: int,
    config: TrainingConfig,
    progress: Callable[[int, int], None] | None = None,
) -> Trained:
    """Train until the utterances held out get no better.

    Parameters
    ----------
    spoken, held_out : sequence of Spoken
        What to learn, and what to judge by; each at least one.
    n_tokens : int
        Tokens with the blank.
    config : TrainingConfig
        What was chosen.
    progress : callable, optional
        Called with (done, most) after every round.

    Returns
    -------
    trained : Trained
        Weights of the best round. The same seed gives the same on the same machine.
    """
    if not spoken or not held_out:
        raise ConfigError(
            f"Training needs utterances to learn and to judge by, got {len(spoken)} and "
            f"{len(held_out)}: record more."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _Run(spoken, held_out, n_tokens, config).all_rounds(progress)


class _Run:
    """One training: what all its rounds share."""

    def __init__(
        self,
        spoken: Sequence[Spoken],
        held_out: Sequence[Spoken],
        n_tokens: int,
        config: TrainingConfig,
    ) -> None:
        self._spoken, self._held_out, self._config = spoken, held_out, config
        self._net = SpeechNetwork(spoken[0].frames.shape[1], n_tokens, config)
        self._rng = np.random.default_rng(config.seed)
        n_steps = config.epochs * -(-len(spoken) // config.batch)
        self._adam = torch.optim.AdamW(self._net.parameters(), lr=config.rate, weight_decay=1e-3)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._adam, max_lr=config.rate, total_steps=n_steps, pct_start=0.15
        )

    def all_rounds(self, progress: Callable[[int, int], None] | None) -> Trained:
        so_far = Trained(arrays={}, losses=(), error_rates=())
        for number in range(self._config.epochs):
            self._round(flat=number < self._config.flat_epochs)
            loss, rate = self._judge()
            so_far = replace(
                so_far, losses=(*so_far.losses, loss), error_rates=(*so_far.error_rates, rate)
            )
            if so_far.best == number:
                so_far = replace(so_far, arrays=self._net.to_arrays())
            if progress is not None:
                progress(number + 1, self._config.epochs)
            if number - max(so_far.best, self._config.flat_epochs - 1) >= self._config.patience:
                break
        return so_far

    def _round(self, *, flat: bool) -> None:
        self._net.train()
        # Utterances of like length share a batch: less is padded.
        lengths = np.array([len(one.frames) for one in self._spoken])
        order = np.argsort(lengths * self._rng.uniform(0.8, 1.2, len(lengths)))
        starts = self._rng.permutation(np.arange(0, len(order), self._config.batch))
        for start in starts:
            chosen = [self._spoken[place] for place in order[start : start + self._config.batch]]
            begun = [int(self._rng.integers(0, one.latest + 1)) for one in chosen]
            frames = [self._changed(one, at) for one, at in zip(chosen, begun, strict=True)]
            self._adam.zero_grad()
            if flat:
                wanted = [one.flat()[at:] for one, at in zip(chosen, begun, strict=True)]
                loss = _framewise(self._net, frames, wanted)
            else:
                loss = _ctc(self._net, frames, [one.tokens for one in chosen])
            loss.backward()
            nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
            self._adam.step()
            self._schedule.step()

    def _changed(self, one: Spoken, begun: int) -> Floats32:
        """The frames from there on, as another day might have brought them."""
        config, rng = self._config, self._rng
        frames = one.frames[begun:]
        n_in = frames.shape[1]
        changed = frames + rng.normal(0, config.noise, frames.shape)
        changed += rng.normal(0, config.offset, n_in)
        changed[:, rng.random(n_in) < config.lost] = 0.0
        return changed.astype(np.float32)

    @torch.no_grad()
    def _judge(self) -> tuple[float, float]:
        self._net.eval()
        frames = [one.frames for one in self._held_out]
        tokens = [one.tokens for one in self._held_out]
        loss = float(_ctc(self._net, frames, tokens))
        pairs = [
            (_best_path(self._net, one), list(map(str, said)))
            for one, said in zip(frames, tokens, strict=True)
        ]
        return loss, error_rate(pairs)


def _best_path(net: SpeechNetwork, frames: Floats32) -> list[str]:
    path = BestPath()
    for token in net(torch.from_numpy(frames)[None])[0].argmax(-1).tolist():
        path.step(token)
    return list(map(str, path.tokens))


def _ctc(
    net: SpeechNetwork, frames: Sequence[Floats32], tokens: Sequence[tuple[int, ...]]
) -> Tensor:
    """CTC loss for each token, averaged over utterances."""
    parts = [torch.from_numpy(one) for one in frames]
    scores = net(nn.utils.rnn.pad_sequence(parts, batch_first=True))  # (B, T, n_tokens)
    return F.ctc_loss(
        scores.log_softmax(-1).transpose(0, 1),
        torch.tensor([token for one in tokens for token in one]),
        torch.tensor([len(one) for one in parts]),
        torch.tensor([len(one) for one in tokens]),
        blank=BLANK,
        zero_infinity=True,
    )


def _framewise(
    net: SpeechNetwork, frames: Sequence[Floats32], wanted: Sequence[NDArray[np.int64]]
) -> Tensor:
    """Cross-entropy of every frame's token."""
    pad = nn.utils.rnn.pad_sequence
    scores = net(pad([torch.from_numpy(one) for one in frames], batch_first=True))
    tokens = pad([torch.from_numpy(one) for one in wanted], batch_first=True, padding_value=-1)
    return F.cross_entropy(scores.flatten(0, 1), tokens.flatten(), ignore_index=-1)


def ctc_loss(scores: Floats32, tokens: tuple[int, ...]) -> float:
    """Negative log probability of an utterance's tokens, given scores (n_frames, n_tokens)."""
    logs = torch.from_numpy(np.ascontiguousarray(scores))[:, None].log_softmax(-1)
    loss = F.ctc_loss(
        logs,
        torch.tensor([tokens]),
        torch.tensor([len(scores)]),
        torch.tensor([len(tokens)]),
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )
    return float(loss)
