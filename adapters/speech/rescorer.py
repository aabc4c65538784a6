"""A second stage to try things out with: it rescores n-best lists with a larger n-gram model.

Run it beside a session, on a text of one sentence a line::

    python -m diverloop.adapters.speech.rescorer --address tcp://127.0.0.1:5599 --text FILE

For a session on another machine, ``--keyed`` and an address such as ``tcp://0.0.0.0:5599``: people
whom ``diverloop keys new`` has enrolled on this machine are answered, and nobody reads along.

It can be told to be slow (``--slow-s``) and to hang once (``--stall-after``, ``--stall-s``), which
is how the first stage shows that it does not care. It keeps the last sentence as context for the
next one, until it is told to forget.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from ...runtime.access import AccessNote, Action
from ...runtime.address import stays_here
from ...runtime.clock import MonotonicClock
from ...runtime.doorkeeper import Admission, Doorkeeper, serve_curve
from ...runtime.errors import ConfigError
from ...runtime.json_text import parsed_json
from ...runtime.keys import server_key
from ...runtime.people import People
from .language_model import Context, NGrams

_UNKNOWN = "<unknown>"


class Rescorer:
    """Chooses among texts by their own scores and a language model.

    Parameters
    ----------
    sentences : sequence of str
        The text to count.
    order : int
        Of the n-gram model.
    weight : float
        How much the model counts against the scores.
    """

    def __init__(self, sentences: Sequence[str], *, order: int = 5, weight: float = 1.0) -> None:
        words = sorted({word for one in sentences for word in one.split()})
        self._number = {word: place for place, word in enumerate([*words, _UNKNOWN])}
        self._weight = weight
        self._model = NGrams.fit(
            [self._numbers(one) for one in sentences], order=order, n_words=len(self._number)
        )
        self.forget()

    def forget(self) -> None:
        """Nothing was said before."""
        self._before: Context = ()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The best of the texts of a request; a final one becomes the context of the next."""
        scored = [
            (score + self._weight * self._log_probability(text), text)
            for text, score in request["hypotheses"]
        ]
        best = max(scored)[1] if scored else ""
        if request["final"]:
            self._before = tuple(self._numbers(best))
        return {"utterance": request["utterance"], "version": request["version"], "text": best}

    def _numbers(self, text: str) -> list[int]:
        return [self._number.get(word, self._number[_UNKNOWN]) for word in text.split()]

    def _log_probability(self, text: str) -> float:
        boundary = self._model.boundary
        said = (*self._before, boundary, *self._numbers(text), boundary)
        first = len(self._before) + 1
        reach = self._model.order - 1
        return sum(
            self._model.log_probability(said[max(0, place - reach) : place], said[place])
            for place in range(first, len(said))
        )


def serve(
    socket: Any, rescorer: Rescorer, *, slow_s: float, stall_after: int, stall_s: float
) -> None:
    """Answer until the process is ended; of what has piled up only each client's newest.

    Parameters
    ----------
    socket : zmq.Socket
        A ROUTER that is bound.
    rescorer : Rescorer
        Who answers.
    slow_s : float
        How long every answer takes.
    stall_after : int
        After so many answers it hangs; negative for never.
    stall_s : float
        How long it hangs.
    """
    answered = 0
    while True:
        for client, request in newest(socket, rescorer).items():
            time.sleep(slow_s + (stall_s if answered == stall_after else 0.0))
            # A client that is gone loses its answer, and nobody waits for it.
            socket.send_multipart([client, json.dumps(rescorer.answer(request)).encode()])
            answered += 1


def newest(socket: Any, rescorer: Rescorer) -> dict[bytes, dict[str, Any]]:
    """Wait for a request, then take all there are; the newest of each client."""
    found: dict[bytes, dict[str, Any]] = {}
    flags = 0
    while True:
        try:
            client, frame = socket.recv_multipart(flags)
        except zmq.Again:
            return found
        flags = zmq.NOBLOCK
        said = understood(frame)
        if said is None:
            continue  # not of this protocol: whoever sent it gets no answer
        if "forget" in said:
            rescorer.forget()
            found.pop(client, None)
        else:
            found[client] = said


def understood(frame: bytes) -> dict[str, Any] | None:
    """A request, or the wish to forget; None for whatever else came over the wire."""
    try:
        said = parsed_json(frame)
        if "forget" in said:
            return {"forget": True}
        hypotheses = [(text, float(score)) for text, score in said["hypotheses"]]
        utterance, version, final = said["utterance"], said["version"], said["final"]
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
    plain = all(isinstance(text, str) and math.isfinite(score) for text, score in hypotheses)
    if not (plain and type(utterance) is type(version) is int and isinstance(final, bool)):
        return None
    return {
        "hypotheses": hypotheses, "utterance": utterance, "version": version, "final": final,
    }  # fmt: skip


@contextmanager
def listening_at(address: str, *, keyed: bool) -> Iterator[Any]:
    """A socket that requests come to.

    Parameters
    ----------
    address : str
        Where to listen.
    keyed : bool
        Whether only people of this machine's list come in, over CURVE.

    Yields
    ------
    socket : zmq.Socket
        A ROUTER that is bound.

    Raises
    ------
    ConfigError
        If the address reaches beyond this machine without keys, or is taken.
    """
    if not (keyed or stays_here(address, "address of the language model")):
        raise ConfigError(
            f"The address {address!r} reaches beyond this machine: give --keyed, so that what "
            f"somebody says is not read along."
        )
    with zmq.Context() as context:
        door = Doorkeeper(context, _admission(), Action.STATUS) if keyed else None
        with context.socket(zmq.ROUTER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            if door is not None:
                serve_curve(socket, server_key(), "second stage")
                door.watch(socket)
            try:
                _bind(socket, address)
                yield socket
            finally:
                if door is not None:
                    door.close()


def _bind(socket: Any, address: str) -> None:
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ConfigError(
            f"Nobody can be listened to at {address!r} ({error}): take another port."
        ) from error


def _admission() -> Admission:
    def refused(note: AccessNote) -> None:
        sys.stderr.write(f"Refused: {note.text}\n")

    return Admission(key=server_key(), people=People(), report=refused, clock=MonotonicClock())


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description="Second stage of speech decoding, a stand-in.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--keyed", action="store_true", help="for people with a key only")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--slow-s", type=float, default=0.0)
    parser.add_argument("--stall-after", type=int, default=-1)
    parser.add_argument("--stall-s", type=float, default=5.0)
    chosen = parser.parse_args(arguments)
    try:
        _serve_as(chosen)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        parser.error(str(error))


def _serve_as(chosen: argparse.Namespace) -> None:
    lines = [line.strip() for line in chosen.text.read_text(encoding="utf-8").splitlines()]
    sentences = [line for line in lines if line and not line.startswith("#")]
    rescorer = Rescorer(sentences, order=chosen.order, weight=chosen.weight)
    with listening_at(chosen.address, keyed=chosen.keyed) as socket:
        serve(
            socket,
            rescorer,
            slow_s=chosen.slow_s,
            stall_after=chosen.stall_after,
            stall_s=chosen.stall_s,
        )


if __name__ == "__main__":
    main()
