"""ezmsg: inlet, window, decoder and outlet as a graph of units in one process, as documented.

Uses ezmsg-lsl for the streams and ezmsg-sigproc for the windows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import ezmsg.core as ez
import numpy as np
from decoding import Decoder, task_here
from ezmsg.lsl.inlet import LSLInfo, LSLInletSettings, LSLInletUnit
from ezmsg.lsl.outlet import LSLOutletSettings, LSLOutletUnit
from ezmsg.sigproc.window import Window, WindowSettings
from ezmsg.util.messages.axisarray import AxisArray

TASK = task_here()


class Decode(ez.Unit):
    """A window to eight numbers."""

    WINDOWS = ez.InputStream(AxisArray)
    DECISIONS = ez.OutputStream(AxisArray)

    async def initialize(self) -> None:
        self.decode = Decoder(TASK)

    @ez.subscriber(WINDOWS)
    @ez.publisher(DECISIONS)
    async def on_window(self, window: AxisArray) -> AsyncGenerator[Any, None]:
        values = self.decode(window.data)
        stamp = window.axes["time"].value(len(window.data) - 1)
        axis = AxisArray.CoordinateAxis(data=np.array([stamp]), dims=["time"], unit="s")
        said = AxisArray(values[None, :], dims=["time", "ch"], axes={"time": axis}, key="decision")
        yield self.DECISIONS, said


def main() -> None:
    units = {
        "inlet": LSLInletUnit(LSLInletSettings(info=LSLInfo(name=TASK.stream))),
        "windows": Window(
            WindowSettings(
                axis="time", window_dur=TASK.n_window / TASK.rate_hz,
                window_shift=TASK.n_step / TASK.rate_hz, zero_pad_until="none",
            )
        ),
        "decode": Decode(),
        "outlet": LSLOutletUnit(LSLOutletSettings(stream_name=TASK.out, stream_type="peer")),
    }  # fmt: skip
    joined = (
        (units["inlet"].OUTPUT_SIGNAL, units["windows"].INPUT_SIGNAL),
        (units["windows"].OUTPUT_SIGNAL, units["decode"].WINDOWS),
        (units["decode"].DECISIONS, units["outlet"].INPUT_SIGNAL),
    )
    ez.run(units, connections=joined)


if __name__ == "__main__":
    main()
