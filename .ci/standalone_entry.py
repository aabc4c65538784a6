"""What the standalone program begins with.

diverloop starts its recorder, its watchdog and others as ``python -m MODULE ARGUMENTS``. In a
program that PyInstaller froze, the Python that it starts is the program itself, so it has to
understand that, too.
"""

from __future__ import annotations

import multiprocessing
import runpy
import sys


def main() -> None:
    """Run a module if one is asked for, else the command line."""
    multiprocessing.freeze_support()
    if len(sys.argv) > 2 and sys.argv[1] == "-m" and sys.argv[2].split(".")[0] == "diverloop":
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    from diverloop.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
