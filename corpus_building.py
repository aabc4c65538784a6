"""From recordings and simulated participants to a corpus that models are pre-trained on.

Every source passes through the product's own causal conditioner, so that what a model learns to
represent is the signal it will be served: same filters, same phase, same transients.

`read_recipe`, `corpus_folder` and `corpus_zarr` say which sources those are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from .corpus_recipe import MODALITY_OF_KIND, SHIPPED, CorpusSource, read_recipe
from .decoders.corpus import (
    MODALITIES,
    RATE_HZ,
    SUBTYPES,
    Corpus,
    CorpusEntry,
    CorpusWriter,
    Signal,
)
from .hardware.montage import scalp_position_m
from .runtime.clock import VirtualClock
from .runtime.errors import ConfigError, RecordingError, UnitError, UnknownName
from .runtime.messages import Channel, StreamSpec
from .runtime.signal.condition_config import ConditionConfig
from .runtime.signal.conditioning import StreamConditioner
from .training_sources import Progress, settled

__all__ = [
    "CONDITIONING",
    "SHIPPED",
    "UNCALIBRATED_UV",
    "CorpusSource",
    "build_corpus",
    "read_recipe",
]

CONDITIONING: Mapping[str, ConditionConfig] = {
    "EEG": ConditionConfig(high_pass_hz=0.3, order=2, rate_hz=float(RATE_HZ)),
    "iEEG": ConditionConfig(high_pass_hz=0.5, order=2, rate_hz=float(RATE_HZ)),
}
"""Conditioning of each modality, as DIVER-1's, but causal; the mains are the source's own."""

UNCALIBRATED_UV = 10.0
"""Median root mean square that signal in unknown units is scaled to."""

_SHORTEST_S = 1.0  # of a stretch that is worth keeping
_SMALLEST_GRID = 16  # contacts; strips have 4 to 12
_NOWHERE = (float("nan"),) * 3
_LONGEST_M = 1.0  # a place further out than this was written in millimetres


def build_corpus(
    sources: Sequence[CorpusSource] | Mapping[str, Callable[[], CorpusSource]],
    folder: str | Path,
    progress: Progress = lambda what, done, of: None,
    *,
    conditioning: Mapping[str, ConditionConfig] = CONDITIONING,
    skipped: Callable[[str, str], None] | None = None,
) -> Corpus:
    """Condition recordings and write them as a corpus, one after the other.

    Entries that are there already, made from the same data in the same way, are kept; entries
    that are there from other sources are removed.

    Parameters
    ----------
    sources : sequence of CorpusSource, or mapping of str to callable
        What to put in; of a mapping, each is opened when its turn comes.
    folder : str or Path
        Where to.
    progress : callable
        Called with what is being done, how far, and of how much.
    conditioning : mapping of str to ConditionConfig
        For each modality; its `line_hz` and `pick` are the source's.
    skipped : callable, optional
        Called with the name of a source that cannot be used, and why; the others go on. Without
        one, the first such source ends the build.

    Returns
    -------
    corpus : Corpus
        Open.

    Raises
    ------
    ConfigError
        If a conditioning does not give 500 Hz, or changes the rows.
    RecordingError
        If a source has no electrode of its modality, or no signal once the filters have settled.
    UnitError
        If nothing tells the unit of a source.
    """
    for config in conditioning.values():
        _check_conditioning(config)
    writer = CorpusWriter(folder)
    named: list[tuple[str, Callable[[], CorpusSource]]] = []
    if isinstance(sources, Mapping):
        named += sources.items()
    else:
        named += [(source.source.name, partial(_itself, source)) for source in sources]
    for place, (name, open_one) in enumerate(named):
        progress(f"conditioning {name}", place, len(named))
        try:
            _add(writer, open_one(), conditioning)
        except (RecordingError, UnitError) as error:
            if skipped is None:
                raise
            skipped(name, str(error))
    writer.close()
    return Corpus.open(folder)


def _itself(source: CorpusSource) -> CorpusSource:
    return source


def _add(
    writer: CorpusWriter, source: CorpusSource, conditioning: Mapping[str, ConditionConfig]
) -> None:
    """Each modality of a source, unless it is there already."""
    for name, modality, spec in _parts(source):
        config = replace(conditioning[modality], line_hz=source.line_hz, pick=spec.channel_names)
        entry = _entry(source, name, modality, spec, config)
        if not writer.keep(entry):
            blocks = _conditioned if source.calibrated else _rescaled
            writer.add_blocks(entry, blocks(source, spec, config))


def _check_conditioning(config: ConditionConfig) -> None:
    plain = not (config.bands_hz or config.envelopes_hz or config.clean)
    if config.rate_hz != RATE_HZ or config.reference in ("bipolar", "laplacian") or not plain:
        raise ConfigError(
            f"A corpus holds each electrode's broadband signal at {RATE_HZ} Hz: set rate_hz = "
            f"{RATE_HZ} (got {config.rate_hz:g}) and leave bands, envelopes, cleaning and "
            f"references that make other rows out."
        )


# ------------------------------------------------------------------------------------- its rows


def _parts(source: CorpusSource) -> Iterator[tuple[str, str, StreamSpec]]:
    """Each modality that is wanted of a source: the entry's name, it, and its rows."""
    spec = source.source.make(VirtualClock()).spec
    missing = sorted(set(source.pick) - set(spec.channel_names))
    if missing:
        raise RecordingError(
            f"{source.source.name} lacks {', '.join(missing)}, which were picked; it has "
            f"{', '.join(spec.channel_names)}."
        )
    rows = [
        replace(channel, kind=source.kind or channel.kind)
        for channel in spec.channels
        if channel.kind in MODALITY_OF_KIND and (not source.pick or channel.name in source.pick)
    ]
    found: dict[str, list[Channel]] = {modality: [] for modality in MODALITIES}
    for channel in rows:
        found[MODALITY_OF_KIND[channel.kind]].append(channel)
    wanted = [m for m in MODALITIES if found[m] and source.modality in ("", m)]
    if not wanted:
        raise RecordingError(
            f"{source.source.name} has no {source.modality or 'brain'} electrode; its channels "
            f"are of kind {', '.join(sorted({row.kind for row in spec.channels}))}: set kind."
        )
    for modality in wanted:
        suffix = f" {modality}" if len(wanted) > 1 else ""
        yield source.source.name + suffix, modality, replace(spec, channels=tuple(found[modality]))


def _entry(
    source: CorpusSource, name: str, modality: str, spec: StreamSpec, config: ConditionConfig
) -> CorpusEntry:
    return CorpusEntry(
        name=name,
        data_id=source.source.data_id,
        licence=source.licence,
        credit=source.credit,
        modality=modality,
        channel_names=spec.channel_names,
        positions_mm=tuple(_position_mm(channel) for channel in spec.channels),
        subtypes=_subtypes(spec.channels),
        calibrated=source.calibrated,
        conditioning=asdict(config),
    )


def _position_mm(channel: Channel) -> tuple[float, float, float]:
    place = channel.position_m
    if place is None and channel.kind == "eeg":
        place = _by_name(channel.name)
    if place is None:
        return _NOWHERE
    to_mm = 1.0 if max(map(abs, place)) > _LONGEST_M else 1000.0
    x, y, z = (round(to_mm * value, 3) for value in place)
    return (x, y, z)


def _by_name(name: str) -> tuple[float, float, float] | None:
    """Place of a scalp electrode, however its label is spelt; None if it has none."""
    try:
        return scalp_position_m(name)
    except UnknownName:
        return None


def _subtypes(channels: Sequence[Channel]) -> tuple[int, ...]:
    """Grid, strip or depth, as far as kind and numbering tell.

    ECoG contacts whose labels differ by their last number alone belong together: 16 and more are
    a grid, 2 to 15 a strip.
    """
    grids, strips, depths = (SUBTYPES.index(name) for name in ("grid", "strip", "depth"))
    stems = [re.sub(r"\d+(?=\D*$)", "#", channel.name) for channel in channels]
    together = Counter(stems)

    def subtype(channel: Channel, stem: str) -> int:
        if channel.kind in ("seeg", "lfp"):
            return depths
        if channel.kind == "eeg" or together[stem] < 2:
            return -1
        return grids if together[stem] >= _SMALLEST_GRID else strips

    return tuple(subtype(*pair) for pair in zip(channels, stems, strict=True))


# ----------------------------------------------------------------------------------- its signal


def _conditioned(
    source: CorpusSource, spec: StreamSpec, config: ConditionConfig
) -> Iterator[tuple[bool, Signal]]:
    """Blocks of conditioned signal, and whether a stretch begins with them.

    What the filters need to settle is left out, and so are stretches that end too soon.
    """
    live = source.source.make(VirtualClock())
    conditioner = StreamConditioner(config)
    shortest = round(_SHORTEST_S * RATE_HZ)
    begun, any_kept = False, False
    held: list[Signal] = []
    live.open()
    try:
        conditioner.open(live.spec)
        rows = [live.spec.channel_names.index(name) for name in spec.channel_names]
        for starts, kept in settled(live, conditioner, rows):
            if starts:
                begun, held = False, []
            held.append(kept.astype(np.float32))
            if begun or sum(part.shape[1] for part in held) >= shortest:
                yield not begun, np.concatenate(held, axis=1)
                begun, any_kept, held = True, True, []
    finally:
        live.close()
    if not any_kept:
        raise RecordingError(
            f"{source.source.name} has no stretch of {_SHORTEST_S:g} s without a hole once the "
            f"filters have settled, which takes {conditioner.settle_samples / RATE_HZ:.1f} s: "
            f"leave it out."
        )


def _rescaled(
    source: CorpusSource, spec: StreamSpec, config: ConditionConfig
) -> Iterator[tuple[bool, Signal]]:
    """Scaled as a whole, so that channels keep their proportions; the signal is made twice."""
    squares, n_times = np.zeros(len(spec.channels)), 0
    for _, block in _conditioned(source, spec, config):
        squares += np.sum(block.astype(np.float64) ** 2, axis=1)
        n_times += block.shape[1]
    rms = float(np.median(np.sqrt(squares / n_times)))
    if not rms:
        raise RecordingError(
            f"{source.source.name}, in unknown units, holds zeros alone: leave it out."
        )
    for starts, block in _conditioned(source, spec, config):
        yield starts, np.asarray(block * (UNCALIBRATED_UV / rms), np.float32)
