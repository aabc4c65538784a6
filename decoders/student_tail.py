"""What stands behind a student's last attention, and what it is told while a stream is heard.

Behind the last attention nothing looks at another hop. So what comes out of it, and the tokens that
the channels are read with, are all that has to be kept of a hop to try other weights behind it: no
fit has to hear the stream again, and what is fitted is exactly what will be served.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.messages import Embedding, StreamSpec, Window
from .engines.engine import Bools, EngineAbout, Hop
from .engines.opening import step_of
from .engines.torch_engine import TorchEngine
from .student import Heard, Student
from .student_config import StudentConfig
from .student_encoder import StudentEncoder
from .student_layers import Block


class Tail(nn.Module):
    """The last block's feed-forward layer, the last norm, and what reads the channels.

    Parameters
    ----------
    student : Student
        Its modules are shared, not copied.
    """

    def __init__(self, student: Student) -> None:
        super().__init__()
        last = cast(Block, student.blocks[-1])
        self.norm2, self.ffn = last.norm2, last.ffn
        self.norm, self.read_back = student.norm, student.read_back
        self._block = f"blocks.{len(student.blocks) - 1}."

    def forward(self, latents: Tensor, tokens: Tensor) -> Tensor:
        """Embeddings of hops, shape (n, n_features).

        Parameters
        ----------
        latents : Tensor, shape (n, n_latents, width)
            Behind the last attention.
        tokens : Tensor, shape (n, n_channels, width)
            Of the same hops, every channel there.
        """
        latents = self.norm(latents + self.ffn(self.norm2(latents)))[:, None]
        there = torch.ones_like(tokens[:, :, :1], dtype=torch.bool)
        channels = self.read_back(tokens[:, :, None], latents, there)
        return Heard(latents, channels).embedding[:, 0]

    def name_in_student(self, name: str) -> str:
        """How the student calls a weight of the tail."""
        return self._block + name if name.startswith(("norm2.", "ffn.")) else name


def tail_of(encoder: StudentEncoder) -> Tail:
    """The tail of an encoder's student, in eval mode."""
    return Tail(step_of(encoder).student).eval()


def split_inputs(inputs: Tensor, config: StudentConfig) -> tuple[Tensor, Tensor]:
    """Latents and tokens of hops, from rows (n, ...) as `TailHearing` keeps them.

    Parameters
    ----------
    inputs : Tensor, shape (n, n_latents * width + n_channels * width)
        Hops.
    config : StudentConfig
        Of the student.

    Returns
    -------
    latents : Tensor, shape (n, n_latents, width)
        Behind the last attention.
    tokens : Tensor, shape (n, n_channels, width)
        Of the channels.
    """
    rows = inputs.unflatten(1, (-1, config.width))
    return rows[:, : config.n_latents], rows[:, config.n_latents :]


class _Listening:
    """An engine that remembers what the tail was told of the last hops."""

    def __init__(self, encoder: StudentEncoder, n_hops: int) -> None:
        step = step_of(encoder)
        last = cast(Block, step.student.blocks[-1])
        self._parts: dict[str, Tensor] = {}
        last.norm2.register_forward_pre_hook(self._keep("latents"))
        step.student.read_back.register_forward_pre_hook(self._keep("tokens"))
        self._engine = TorchEngine(step)
        self.hops: deque[NDArray[np.float32]] = deque(maxlen=n_hops)

    @property
    def about(self) -> EngineAbout:
        return self._engine.about

    def restart(self) -> None:
        self._engine.restart()

    def hear(self, hop_uv: Hop, usable: Bools) -> NDArray[np.float32]:
        said = self._engine.hear(hop_uv, usable)
        told = [self._parts[name].flatten().numpy() for name in ("latents", "tokens")]
        self.hops.append(np.concatenate(told))
        return said

    def close(self) -> None:
        self._engine.close()

    def _keep(self, name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            self._parts[name] = given[0]

        return hook


class TailHearing:
    """Encoder for collecting: of each window what the tail was told of its hops, in order.

    Parameters
    ----------
    encoder : StudentEncoder
        Decides which hops a window has, and when the stream begins anew.

    Notes
    -----
    A window is a float32 row of ``n_hops * (n_latents + n_channels) * width`` numbers: 0.24 MB for
    2 s of 16 channels, 0.74 MB for 64.
    """

    def __init__(self, encoder: StudentEncoder) -> None:
        self._encoder = encoder
        self._n_numbers = 0
        self._engine: _Listening | None = None

    def open(self, spec: StreamSpec, n_times: int) -> None:
        """Check the stream and start anew; raises what `StudentEncoder.open` does."""
        config = self._encoder.architecture
        n_hops = max(1, n_times // config.hop)
        self._engine = _Listening(self._encoder, n_hops)
        self._encoder.engine = self._engine
        self._encoder.open(spec, n_times)
        self._n_numbers = n_hops * config.width * (config.n_latents + spec.n_channels)

    def encode(self, window: Window) -> Embedding:
        """What the tail was told; NaN where the student has nothing to say."""
        said = self._encoder.encode(window)
        if not said.quality or self._engine is None:
            return replace(said, values=np.full(self._n_numbers, np.nan, np.float32))
        return replace(said, values=np.concatenate(self._engine.hops))

    def close(self) -> None:
        """Forget the stream. Calling it twice is harmless."""
        self._encoder.close()
