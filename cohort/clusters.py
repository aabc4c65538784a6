"""Where the work is done: processes of this machine, a scheduler that is there, or SLURM.

Everything here is Dask's; this file only chooses settings that suit the work: one thread a worker,
because a recording that kills its worker must not take another one with it, and encrypted
connections, because whoever reaches a scheduler can run code as its user.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from ..runtime.errors import ConfigError
from ..runtime.settings import build

DEATHS = 3
"""Workers that a recording may kill before it is given up."""

_HEADROOM = 0.9  # of the memory; the rest is for whoever started this
_CONNECT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """What SLURM is asked for; what is left empty is SLURM's own choice.

    Parameters
    ----------
    queue, account : str
        Partition and account.
    cores : int
        Of each job: it runs as many workers, of one thread each.
    memory : str
        Of each job, as ``"8GB"``.
    walltime : str
        Of each job, as ``"02:00:00"``.
    directives : tuple of str
        More ``#SBATCH`` options, as ``"--constraint=cpu"``.
    shared : str
        Folder that jobs and this machine see, for the keys of the connections; the home folder if
        empty.
    interface : str
        Network interface that jobs can reach, as ``"ib0"``; empty for Dask's choice.
    """

    queue: str = ""
    account: str = ""
    cores: int = 1
    memory: str = "4GB"
    walltime: str = "01:00:00"
    directives: tuple[str, ...] = ()
    shared: str = ""
    interface: str = ""

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise ConfigError(f"cores of a SLURM job must be at least 1, got {self.cores}.")

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read settings as they are typed.

        Parameters
        ----------
        texts : sequence of str
            Each as ``"queue=cpu"``; ``directives`` may come again.

        Returns
        -------
        config : SlurmConfig
            The rest as it is by default.

        Raises
        ------
        ConfigError
            If a text is no setting, or its value cannot be used.
        """
        known, given = {field.name for field in fields(cls)}, dict[str, object]()
        directives: list[str] = []
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals or name not in known:
                raise ConfigError(
                    f"{text!r} is no setting of SLURM: write NAME=VALUE, with a name of "
                    f"{', '.join(sorted(known))}."
                )
            if name == "directives":
                directives.append(value)
            elif name == "cores" and not value.isdigit():
                raise ConfigError(f"cores of a SLURM job must be a whole number, got {value!r}.")
            else:
                given[name] = int(value) if name == "cores" else value
        config: Self = build(cls, {**given, "directives": tuple(directives)}, "slurm")
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Who does the work.

    Parameters
    ----------
    workers : int
        Processes, or on SLURM jobs; 0 for one a core, as far as memory allows, or one job.
    scheduler : str
        Address of a Dask scheduler that runs already, as ``"tcp://host:8786"``; then `workers`
        does not count, and its own settings say how often a task may kill its worker.
    slurm : SlurmConfig, optional
        Asks SLURM for workers.
    """

    workers: int = 0
    scheduler: str = ""
    slurm: SlurmConfig | None = None

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError(f"workers must be 0 or more, got {self.workers}: 0 is one a core.")
        if self.scheduler and self.slurm:
            raise ConfigError("A scheduler and SLURM were both asked for: choose one of them.")
        if self.scheduler and "://" not in self.scheduler:
            raise ConfigError(
                f"{self.scheduler!r} is no address of a scheduler: write tcp://HOST:PORT, or "
                f"tls://HOST:PORT."
            )


@contextmanager
def open_client(config: ClusterConfig, largest_bytes: int = 0) -> Iterator[Any]:
    """Workers, ready to be given work; they end with the block, but for those of a scheduler.

    Parameters
    ----------
    config : ClusterConfig
        Who does the work.
    largest_bytes : int
        Memory that the largest item may need: there are only as many local workers as have room
        for it.

    Yields
    ------
    client : distributed.Client
        Connected.

    Raises
    ------
    ConfigError
        If Dask is missing, or the scheduler does not answer.
    """
    _need("distributed", "cohort")
    import dask
    from distributed import Client

    # A worker that is killed is told of by the cohort's own report, not by pages of log.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(_settings()), _reachable():
        if config.scheduler:
            with _connected(config.scheduler) as client:
                yield client
            return
        made: Any = (
            _slurm(config.slurm, config.workers)
            if config.slurm
            else _local(config.workers, largest_bytes)
        )
        with made as cluster, Client(cluster) as client:
            yield client


@contextmanager
def _reachable() -> Iterator[None]:
    """Turn the loss of the scheduler into one sentence."""
    from distributed.comm.core import CommClosedError

    try:
        yield
    except CommClosedError as error:
        raise ConfigError(
            "The connection to the Dask scheduler broke: run the same command again, what is done "
            "is kept."
        ) from error


def _settings() -> dict[str, Any]:
    return {
        "distributed.scheduler.allowed-failures": DEATHS - 1,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.work-stealing": False,
    }


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"No Dask scheduler answers at {address}: start one with `dask scheduler`, and check "
            f"address, network and TLS settings."
        ) from error
    with client:
        yield client


def _local(asked: int, largest_bytes: int) -> Any:
    from dask.system import CPU_COUNT
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    workers, each = share_memory(asked, CPU_COUNT, round(_HEADROOM * MEMORY_LIMIT), largest_bytes)
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=each,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # by default it would listen everywhere
        worker_dashboard_address=None,
        security=True,
        silence_logs=logging.CRITICAL,
    )


def share_memory(asked: int, cores: int, memory_bytes: int, largest_bytes: int) -> tuple[int, int]:
    """How many workers there are, and how much memory each may use.

    Parameters
    ----------
    asked : int
        Workers that a person asked for; 0 lets this decide.
    cores : int
        Of the machine.
    memory_bytes : int
        That all of them may use together.
    largest_bytes : int
        What the largest item may need.

    Returns
    -------
    workers, bytes_each : int
        At least one worker, and never more than have room for the largest item, unless a person
        asked for more.
    """
    room = max(1, memory_bytes // max(1, largest_bytes))
    workers = asked or max(1, min(cores, room))
    return workers, memory_bytes // workers


def _slurm(config: SlurmConfig, jobs: int) -> Any:
    cluster = slurm_cluster(config)
    cluster.scale(jobs=max(1, jobs))
    return cluster


def slurm_cluster(config: SlurmConfig) -> Any:
    """A cluster whose workers are SLURM jobs; none is submitted yet.

    Parameters
    ----------
    config : SlurmConfig
        Queue, cores, memory and time of each job.

    Returns
    -------
    cluster : dask_jobqueue.SLURMCluster
        Its ``job_script()`` is what SLURM would be given.

    Raises
    ------
    ConfigError
        If dask-jobqueue is missing, or refuses a value.
    """
    _need("dask_jobqueue", "cluster")
    from dask_jobqueue.slurm import SLURMCluster

    try:
        return SLURMCluster(
            queue=config.queue or None,
            account=config.account or None,
            cores=config.cores,
            processes=config.cores,
            memory=config.memory,
            walltime=config.walltime,
            job_extra_directives=list(config.directives),
            interface=config.interface or None,
            job_name="diverloop-cohort",
            security=True,
            protocol="tls://",
            shared_temp_directory=config.shared or str(Path.home()),
            scheduler_options={"dashboard_address": ":0"},
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"SLURM cannot be asked for workers ({error}): correct what --slurm says."
        ) from error


def has_dashboard() -> bool:
    """Whether Dask can show its dashboard here: it needs bokeh."""
    return find_spec("bokeh") is not None


def _need(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise ConfigError(
            f"This needs {package}, which is not installed: pip install 'diverloop[{extra}]'."
        )
