"""timeflux: a graph of its own nodes, Receive, Slide and Send, with one node that decodes.

The graph runs a thousand times a second: slower, and what came waits for it; a rate of 0 takes a
whole core for the same.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from decoding import N_OUT, Decoder, task_here
from timeflux.core.node import Node

GRAPH_HZ = 1000


class Decode(Node):
    """Eight numbers for each window of a tick."""

    def __init__(self) -> None:
        self._decode = Decoder(task_here())

    def update(self) -> None:
        windows = [port.data for _, _, port in self.iterate("i*") if port.ready()]
        if windows:
            self.o.data = pd.DataFrame(
                np.array([self._decode(window.to_numpy()) for window in windows]),
                index=pd.DatetimeIndex([window.index[-1] for window in windows]),
                columns=[f"number {place}" for place in range(N_OUT)],
            )


def application() -> dict:
    """What timeflux is to run, as its YAML says it."""
    task = task_here()
    seconds = {"length": task.n_window / task.rate_hz, "step": task.n_step / task.rate_hz}
    out = {"name": task.out, "type": "peer", "format": "double64"}
    nodes = [
        ("receive", "timeflux.nodes.lsl", "Receive", {"value": task.stream}),
        ("slide", "timeflux.nodes.window", "Slide", {**seconds, "rate": task.rate_hz}),
        ("decode", Path(__file__).stem, "Decode", {}),
        ("send", "timeflux.nodes.lsl", "Send", out),
    ]
    edges = [("receive", "slide"), ("slide:*", "decode"), ("decode", "send")]
    return {
        "graphs": [{
            "id": "peer", "rate": GRAPH_HZ,
            "nodes": [
                {"id": name, "module": module, "class": kind, "params": given}
                for name, module, kind, given in nodes
            ],
            "edges": [{"source": source, "target": target} for source, target in edges],
        }]
    }  # fmt: skip


def main() -> None:
    from timeflux.timeflux import main as run

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.yaml"  # JSON is YAML, too
        path.write_text(json.dumps(application()), encoding="utf-8")
        sys.argv = ["timeflux", str(path)]
        run()


if __name__ == "__main__":
    main()
