"""A cohort from its items to its outputs: hash, see what is there, compute the rest, lose nothing.

Dask does the work. What is here is what Dask cannot know: which results are there already, how
much memory an item needs, and what to say of one that failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from .hashing import Stamp, code_sha256, data_sha256, hash_files, key_of
from .item import Item, Place, Recipe
from .outputs import is_complete, read_output, read_stamps, write_stamps
from .working import Outcome, Task, do

Tell = Callable[[str, int, int], None]
"""Told what is being done, how far, and of how much."""

_BATCH_FILES, _BATCH_BYTES = 64, 1 << 28
_IDLE_BYTES = 400 << 20
_PLAIN, _PACKED = 12, {".npz": 24}  # bytes of memory that reading takes for each byte of a file
_LOOK_S = 2.0  # from one look at who works to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run did.

    Parameters
    ----------
    items : tuple of Item
        The cohort, by name.
    keys : mapping of str to str
        Name of an item to the key of its output; none for one that could not be hashed.
    data : mapping of str to str
        Name of an item to the hash of its files.
    computed, reused : tuple of str
        Keys of outputs made now, and of those that were there.
    unfinished : mapping of str to str
        Name of an item that has no output to the reason; the next run tries it again.
    outcomes : tuple of Outcome
        Of what was computed now.
    """

    items: tuple[Item, ...]
    keys: Mapping[str, str]
    data: Mapping[str, str]
    computed: tuple[str, ...]
    reused: tuple[str, ...]
    unfinished: Mapping[str, str] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()


def run_cohort(
    client: Any,
    items: Sequence[Item],
    recipe: Recipe,
    folder: Path,
    tell: Tell = lambda what, done, of: None,
    *,
    retry_failed: bool = False,
    needs: Callable[[Item], int] | None = None,
) -> Ran:
    """Make every output that is not there yet.

    Parameters
    ----------
    client : distributed.Client
        From `clusters.open_client`.
    items : sequence of Item
        The cohort.
    recipe : Recipe
        What is done with each.
    folder : Path
        Of the results; every worker must see it under this path.
    tell : callable
        Told of progress.
    retry_failed : bool
        Whether failures that were kept are tried again.
    needs : callable, optional
        From an item to the memory that the work on it may take, in bytes; `needed_bytes` if not
        given.

    Returns
    -------
    ran : Ran
        What was done; outputs lie in the folder.

    Raises
    ------
    RecordingError
        If the folder cannot be written.
    """
    folder = folder.resolve()
    stamps, unread = _hash_all(client, items, folder, tell)
    hashed = [item for item in items if item.name not in unread]
    data = {item.name: data_sha256(item, stamps) for item in hashed}
    keys = {item.name: key_of(item, data[item.name], recipe) for item in hashed}
    there = _there(folder, set(keys.values()), recipe, retry_failed)
    missing = {keys[item.name]: item for item in hashed if keys[item.name] not in there}
    code = code_sha256(recipe.code)
    tasks = [
        Task(
            item=item,
            recipe=recipe,
            place=Place(
                folder=folder, key=key, sha256=tuple(stamps[name].sha256 for name in item.files)
            ),
            stamps={name: stamps[name] for name in item.files},
            code=code,
            anew=retry_failed,
        )
        for key, item in missing.items()
    ]
    outcomes = _drive(client, tasks, needs or needed_bytes, tell, reused=len(there))
    lost = {one.key: one.failed for one in outcomes if one.failed and not one.lasting}
    names = {name: lost[key] for name, key in keys.items() if key in lost}
    return Ran(
        items=tuple(sorted(items, key=lambda item: item.name)),
        keys=keys,
        data=data,
        computed=tuple(sorted(one.key for one in outcomes if one.key not in lost)),
        reused=tuple(sorted(there)),
        unfinished={**unread, **names},
        outcomes=tuple(outcomes),
    )


def needed_bytes(item: Item) -> int:
    """Memory that the work on an item may take, by the size of its files.

    Parameters
    ----------
    item : Item
        Which.

    Returns
    -------
    n_bytes : int
        What an idle worker takes, and so much for every byte that packed files are unpacked,
        turned into floats and copied.
    """
    suffixes = {Path(name).suffix.lower() for name in item.recordings}
    return _IDLE_BYTES + item.n_bytes * max(
        (_PACKED.get(one, _PLAIN) for one in suffixes), default=0
    )


def _there(folder: Path, keys: set[str], recipe: Recipe, retry_failed: bool) -> set[str]:
    found = {key: read_output(folder, key) for key in keys}
    return {
        key
        for key, output in found.items()
        if output is not None
        and is_complete(folder, output, recipe.leaves)
        and not (retry_failed and output.failed)
    }


def _hash_all(
    client: Any, items: Iterable[Item], folder: Path, tell: Tell
) -> tuple[dict[str, Stamp], dict[str, str]]:
    """Stamps of all files, and why an item has none."""
    from distributed import as_completed

    known = read_stamps(folder)
    sizes = {name: item.n_bytes for item in items for name in item.files}
    stamps: dict[str, Stamp] = {}
    failed: dict[str, str] = {}
    batches = _batches(sizes)
    asked = [[(name, known.get(name)) for name in batch] for batch in batches]
    futures = client.map(hash_files, asked, pure=False, key="hash")
    place = {future.key: batch for future, batch in zip(futures, batches, strict=True)}
    for future in as_completed(futures):
        result, error = _ended(future)
        if result is None:
            why = f"It could not be hashed: {_reason(error, 0)}"
            failed |= dict.fromkeys(place[future.key], why)
        else:
            for name, found in result:
                if isinstance(found, Stamp):
                    stamps[name] = found
                else:
                    failed[name] = found
        tell("hashing recordings", len(stamps) + len(failed), len(sizes))
    if stamps != {name: known.get(name) for name in stamps}:
        write_stamps(folder, {**known, **stamps})
    unread = {item.name: failed[name] for item in items for name in item.files if name in failed}
    return stamps, unread


def _batches(sizes: Mapping[str, int]) -> list[list[str]]:
    """Files in parts of a size that is worth sending."""
    batches: list[list[str]] = []
    room = 0
    for name, n_bytes in sizes.items():
        if not batches or len(batches[-1]) == _BATCH_FILES or n_bytes > room:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(name)
        room -= n_bytes
    return batches


class _Room:
    """How much may be under way at a time: one item a thread, within the memory of all workers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._looked_s = float("-inf")
        self._threads, self._bytes, self._largest = 1, 0, 0

    def has(self, n_running: int, n_bytes: int, more_bytes: int) -> bool:
        """Whether another item may start beside those that run."""
        if monotonic() - self._looked_s > _LOOK_S:
            self._look()
        if not n_running:
            return True
        fits = not self._bytes or n_bytes + more_bytes <= self._bytes
        return n_running < self._threads and fits

    @property
    def worker_bytes(self) -> int:
        """Memory of the largest worker; 0 if it is not limited."""
        return self._largest

    def _look(self) -> None:
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        limits = [int(one["memory_limit"] or 0) for one in workers]
        self._threads = max(1, sum(int(one["nthreads"]) for one in workers))
        self._bytes = sum(limits) if all(limits) else 0
        self._largest = max(limits, default=0)
        self._looked_s = monotonic()


def _drive(
    client: Any, tasks: Sequence[Task], needs: Callable[[Item], int], tell: Tell, *, reused: int
) -> list[Outcome]:
    """Give tasks to the workers, the longest first, never more at a time than there is room for."""
    from distributed import as_completed

    # What takes long must not begin last, when all others have nothing left to do.
    waiting = deque(sorted(tasks, key=lambda task: (-task.item.n_bytes, task.item.name)))
    room = _Room(client)
    running: dict[str, Task] = {}
    coming = as_completed([])
    outcomes: list[Outcome] = []
    total = reused + len(tasks)
    tell("computing", reused, total)
    while waiting or running:
        while waiting and room.has(
            len(running),
            sum(needs(task.item) for task in running.values()),
            needs(waiting[0].item),
        ):
            task = waiting.popleft()
            name = f"{task.recipe.kind}-{task.place.key}"
            future = client.submit(do, task, key=name, pure=False)
            running[future.key] = task
            coming.add(future)
        future = next(coming)
        task = running.pop(future.key)
        outcomes.append(_outcome(future, task, room.worker_bytes))
        future.release()
        tell(task.item.name, reused + len(outcomes), total)
    return outcomes


def _outcome(future: Any, task: Task, worker_bytes: int) -> Outcome:
    outcome, error = _ended(future)
    return outcome or Outcome(key=task.place.key, failed=_reason(error, worker_bytes))


def _ended(future: Any) -> tuple[Any, BaseException | None]:
    """What came of a task: its result, or what ended it; neither if the scheduler gave it up."""
    from distributed import KilledWorker

    try:
        if future.status == "finished":
            return future.result(), None
        return None, future.exception() if future.status == "error" else None
    except KilledWorker as killed:  # once done and lost with its worker, then deadly
        return None, killed


def _reason(error: BaseException | None, worker_bytes: int) -> str:
    """One sentence of ours on what ended a task."""
    from distributed import KilledWorker

    if error is None:
        return "The scheduler gave it up: run again."
    if isinstance(error, KilledWorker):
        room = f", of {worker_bytes / 1e9:.1f} GB each," if worker_bytes else ""
        return (
            f"It ended {error.allowed_failures + 1} workers{room} one after the other: look "
            f"whether it needs more memory than they have, and else whether the file is damaged."
        )
    if isinstance(error, MemoryError):
        return "It needs more memory than there is: use fewer workers, or a larger machine."
    text = " ".join(str(error).split())[:300]
    return (
        f"It ended in an error that diverloop does not know ({type(error).__name__}: {text}): "
        f"please report it."
    )
