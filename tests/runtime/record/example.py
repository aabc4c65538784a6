"""Small recordings with everything that an export has to carry, and with what must not leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from diverloop.runtime.messages import (
    Channel,
    Chunk,
    Command,
    Decision,
    Event,
    EventKind,
    Marker,
    StageTimes,
    StreamSpec,
    Turn,
)
from diverloop.runtime.received import Sent
from diverloop.runtime.record.contents import Note, Record
from diverloop.runtime.record.manifest import Manifest

RATE_HZ = 250.0
N_TIMES = 2000
LOST = ((700, 780), (1990, 2000))
CLASSES = ("left", "right")
SECRETS = ("Jane", "Doe", "555 123", "0012345", "bedside-pc", "/home/", "/1956", "jsmith")
"""None of these may be found in any file of an export."""

SCALP = (
    Channel(name="C3", position_m=(-0.0629, -0.0110, 0.0656)),
    Channel(name="C4", position_m=(0.0647, -0.0107, 0.0655)),
    Channel(name="Cz", position_m=(0.0001, -0.0088, 0.1013)),
    Channel(name="EOG1", kind="eog"),
    Channel(name="EMG1", kind="emg"),
    Channel(name="Trigger", kind="misc"),
)
INTRACRANIAL = (
    Channel(name="LAH1", kind="seeg", position_m=(-0.0241, -0.0123, -0.0187)),
    Channel(name="LAH2", kind="seeg", position_m=(-0.0276, -0.0121, -0.0185)),
    Channel(name="G1", kind="ecog", position_m=(-0.0520, 0.0030, 0.0451)),
    Channel(name="G2", kind="ecog"),
    Channel(name="STN1", kind="lfp", position_m=(0.0112, -0.0142, -0.0071)),
    Channel(name="Fz", kind="eeg", position_m=(0.0003, 0.0585, 0.0665)),
)


def signal(n_channels: int) -> np.ndarray:
    """Microvolts that use all the bits of a float32; NaN where samples were lost."""
    samples = np.random.default_rng(7).standard_normal((n_channels, N_TIMES)) * 50
    samples = samples.astype(np.float32)
    samples[0, :3] = (1e-20, -3.4e5, 16777217.0)
    for first, stop in LOST:
        samples[:, first:stop] = np.nan
    return samples


def recording(channels: tuple[Channel, ...] = SCALP) -> Record:
    """Eight seconds of a session by Jane Doe."""
    samples = signal(len(channels))

    def chunks() -> Iterator[Chunk]:
        held = [(0, 700), (780, 1990)]
        for begin, end in held:
            for first in range(begin, end, 37):
                stop = min(first + 37, end)
                yield Chunk(
                    samples=samples[:, first:stop].copy(), first_sample=first, arrived_ns=stop
                )

    spec = StreamSpec(
        name="amp-77 EEG",
        rate_hz=RATE_HZ,
        channels=channels,
        source_id="amp-77@bedside-pc",
        sent=Sent(
            dtype="<f4",
            microvolts=(1.0,) * len(channels),
            description="<info><hostname>bedside-pc</hostname></info>",
        ),
    )
    return Record(
        path=Path("/home/jsmith/Jane_Doe.xdf"),
        spec=spec,
        n_times=N_TIMES,
        chunks=chunks,
        manifest=manifest(),
        markers=markers(),
        turns=tuple(turn(k) for k in range(12)),
        events=events(),
        notes=notes(),
        start_ns=1_000_000_000,
        remarks=("The end of /home/jsmith/Jane_Doe.xdf is missing.",),
    )


def foreign() -> Record:
    """A file that another program recorded: no manifest, nothing decided."""
    whole = recording()
    return replace(whole, manifest=None, turns=(), events=(), notes=(), remarks=())


def manifest() -> Manifest:
    """Who, what, when."""
    return Manifest(
        session="Jane's first",
        settings={"source": {"path": "/home/jsmith/Jane_Doe.xdf"}},
        model_sha256="ab" * 32,
        live=True,
        started_utc="2026-11-22T10:11:12.123456+00:00",
        started_ns=1_000_000_000,
        participant="Jane Doe",
        operator="jsmith",
        versions={"diverloop": "0.1.0"},
        machine={"system": "bedside-pc"},
    )


def markers() -> tuple[Marker, ...]:
    """Cues, and one label that somebody should not have sent."""
    named = [(3, "left"), (251, "right"), (702, "left"), (1501, "rest"), (1999, "Jane Doe")]
    return tuple(Marker(label=label, sample=sample) for sample, label in named)


def events() -> tuple[Event, ...]:
    """One of each sort."""
    return (
        Event(kind=EventKind.GUARD, text="Armed by jsmith.", at_ns=1_100_000_000),
        Event(kind=EventKind.GAP, text="80 samples were lost.", sample=700, count=80),
        Event(kind=EventKind.STALE, text="Nothing from bedside-pc.local/7", sample=702),
        Event(kind=EventKind.FRESH, text="Data flows again.", sample=780),
        Event(kind=EventKind.PROMOTED, text="Weights 2 decide.", sample=900),
    )


def notes() -> tuple[Note, ...]:
    """What an operator writes when nobody looks."""
    return (
        Note(
            text="Jane moved. Call her husband Mr Doe on +1 555 123 4567.",
            who="jsmith",
            at_ns=2_000_000_000,
        ),
        Note(text="born 12/03/1956, MRN 0012345, see /home/jsmith/n.txt", who="", at_ns=10**9),
    )


def turn(k: int) -> Turn:
    """One window every half second; the sixth abstains."""
    due_ns = 1_000_000_000 + (k + 1) * 500_000_000
    label = None if k == 5 else CLASSES[k // 6]
    share = 0.9 if k < 6 else 0.1
    return Turn(
        decision=Decision(
            classes=CLASSES,
            probabilities=np.array([share, 1 - share]) if label else np.full(2, np.nan),
            label=label,
            reason="" if label else "samples were lost",
            first_sample=125 * k if label else -1,
            stop_sample=125 * k + 125 if label else -1,
            epoch=1 + k // 6,
        ),
        command=Command(label=label, strength=0.1 * (k % 6), selected=k == 4),
        times=StageTimes(
            due_ns=due_ns,
            arrived_ns=due_ns + 1_000_000,
            conditioned_ns=due_ns + 2_000_000,
            cut_ns=due_ns + 3_000_000,
            encoded_ns=due_ns + 4_000_000,
            decided_ns=due_ns + 5_000_000,
            fed_back_ns=due_ns + 6_000_000,
            acted_ns=due_ns + 8_000_000,
        ),
    )
