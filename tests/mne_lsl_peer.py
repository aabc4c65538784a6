"""The other side of `test_mne_lsl`, in a process of its own: MNE-LSL brings its own liblsl.

Run as ``python mne_lsl_peer.py FOLDER``. It plays a counting recording under the name ``theirs``,
and reads what diverloop sends under ``ours`` and ``decisions``, each name after that of
the folder. It does one thing for each line on its standard input, and answers with a line of JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mne
import numpy as np
from mne_lsl.lsl import StreamInlet, resolve_streams
from mne_lsl.player import PlayerLSL
from mne_lsl.stream import EpochsStream, StreamLSL

RATE_HZ, N_TIMES = 200.0, 6000
TYPES = ("eeg", "eog", "stim", "eeg")
PATIENCE_S = 20.0


class Peer:
    """What has been opened so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.player: PlayerLSL | None = None

    def play(self) -> dict[str, Any]:
        """Count in microvolts on every row but the stimulus, and say a word now and then."""
        count = np.arange(N_TIMES)
        data = np.stack([count * 1e-6, count * 2e-6, count % 7, count * 4e-6])
        info = mne.create_info(["C3", "EOG", "STI", "Cz"], RATE_HZ, list(TYPES))
        raw = mne.io.RawArray(data, info, verbose="error")
        onsets = np.arange(0.5, N_TIMES / RATE_HZ - 1, 0.5)
        words = [("left", "right")[place % 2] for place in range(len(onsets))]
        raw.set_annotations(mne.Annotations(onsets, 0.1, words))
        self.player = PlayerLSL(raw, chunk_size=10, name=self.named("theirs"))
        self.player.start()
        return {"onsets": (onsets * RATE_HZ).astype(int).tolist(), "words": words}

    def stop(self) -> dict[str, Any]:
        assert self.player is not None
        self.player.stop()
        return {}

    def listen(self) -> dict[str, Any]:
        """Subscribe to diverloop's player: the events first, since the signal starts it."""
        self.events = StreamLSL(50, name=self.named("ours-annotations"))
        self.events.connect(acquisition_delay=0.002, timeout=PATIENCE_S)
        self.signal = StreamLSL(30, name=self.named("ours"))
        self.signal.connect(acquisition_delay=0.002, timeout=PATIENCE_S)
        self.epochs = EpochsStream(
            self.signal, 10, None, self.events.ch_names, self.events, 0.0, 0.5, baseline=None
        ).connect(acquisition_delay=0.01)
        info = self.signal.info
        return {
            "names": list(info["ch_names"]),
            "types": self.signal.get_channel_types(),
            "units": [int(unit) for _, unit in self.signal.get_channel_units()],
            "rate_hz": float(info["sfreq"]),
            "labels": list(self.events.ch_names),
        }

    def counted(self) -> dict[str, Any]:
        """How much has come; to fetch it would end the search for epochs."""
        return {
            "n_samples": int(self.signal.n_new_samples), "n_epochs": int(self.epochs.n_new_epochs)
        }  # fmt: skip

    def heard(self) -> dict[str, Any]:
        """All samples and epochs, in a file."""
        samples, stamps_s = self.signal.get_data()
        there = stamps_s > 0  # the buffer begins with what never came
        np.savez(
            self.folder / "heard.npz", samples=samples[:, there], stamps_s=stamps_s[there],
            epochs=self.epochs.get_data(), events=self.epochs.events,
        )  # fmt: skip
        return {}

    def close(self) -> dict[str, Any]:
        self.epochs.disconnect()
        self.signal.disconnect()
        self.events.disconnect()
        return {}

    def obey(self) -> dict[str, Any]:
        """Subscribe to the sink's decisions and words, and cut a signal at each decision.

        Each is an event of the class whose probability is largest: ``EpochsStream`` takes codes
        of events, as in the channel ``selected``, from streams of integers alone.
        """
        self.play()
        self.decisions = StreamLSL(20, name=self.named("decisions"))
        self.decisions.connect(acquisition_delay=0.002, timeout=PATIENCE_S)
        (found,) = resolve_streams(PATIENCE_S, name=self.named("decisions-markers"))
        self.words = StreamInlet(found)
        self.words.open_stream(PATIENCE_S)
        self.signal = StreamLSL(10, name=self.named("theirs"))
        self.signal.connect(acquisition_delay=0.002, timeout=PATIENCE_S)
        self.epochs = EpochsStream(
            self.signal, 5, None, ["p:left", "p:right"], self.decisions, 0.0, 0.2, baseline=None
        ).connect(acquisition_delay=0.01)
        return {"names": list(self.decisions.ch_names), "type": self.decisions.stype}

    def obeyed(self) -> dict[str, Any]:
        """What the sink has said until now."""
        samples, stamps_s = self.decisions.get_data()
        words, _ = self.words.pull_chunk(timeout=0.0, max_samples=100)
        rows = samples[:, stamps_s > 0].T.tolist()
        return {
            "rows": rows, "words": [word for (word,) in words],
            "events": self.epochs.events[-1:].tolist(),
        }  # fmt: skip

    def named(self, name: str) -> str:
        return f"{self.folder.name}-{name}"


def main() -> None:
    peer = Peer(Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(getattr(peer, line.strip())()), flush=True)


if __name__ == "__main__":
    mne.set_log_level("error")
    main()
