"""What must be settled before the first test module is imported.

pytest reads this file before any test, and child processes inherit the environment, so whatever
is set here holds for every process that the suite starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

from hypothesis import settings

# A BLAS that starts threads of its own would compete with the loop for two cores, and would add
# floating-point results in another order from run to run. Read once, when numpy is loaded.
for _variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
):
    os.environ[_variable] = "1"

# liblsl multicasts on every interface by default. Here it speaks to this machine only, and the
# session id keeps two suites that run at the same time from seeing each other's streams. The
# tuning shortens the waits between two rounds of resolving: loopback answers within 3 ms.
_LSL_CONFIG = """\
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
[ports]
IPv6 = disable
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = diverloop-test-{run}
[log]
level = -2
[tuning]
MulticastMinRTT = 0.02
MulticastMaxRTT = 0.06
UnicastMinRTT = 0.02
UnicastMaxRTT = 0.08
"""

_lsl_folder = Path(tempfile.mkdtemp(prefix="diverloop-lsl-"))
(_lsl_folder / "lsl_api.cfg").write_text(_LSL_CONFIG.format(run=uuid.uuid4().hex))
os.environ["LSLAPICFG"] = str(_lsl_folder / "lsl_api.cfg")

# A key of the suite's own signs what tests record: the user's is not read, nor made.
os.environ["DIVERLOOP_HOME"] = str(_lsl_folder / "home")

# Windows are drawn into memory, unless somebody wants to see them.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
if "DIVERLOOP_DATA" not in os.environ and _BESIDE.is_dir():
    os.environ["DIVERLOOP_DATA"] = str(_BESIDE)

# The same examples on every machine and every day: a failure can be repeated by anybody.
settings.register_profile(
    "diverloop", derandomize=True, deadline=None, max_examples=60, database=None
)
settings.load_profile("diverloop")


def pytest_unconfigure() -> None:
    """Leave nothing behind in the temporary folder."""
    shutil.rmtree(_lsl_folder, ignore_errors=True)
