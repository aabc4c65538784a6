"""A fitted model on disk: a card a person can read, and weights nobody has to trust.

A bundle is a folder ``NAME.bundle`` with three files: ``card.json`` says what the model is, what
stream it expects and how well it did; ``weights.safetensors`` holds nothing but arrays; in
``card.sig`` somebody vouches for the two. The card carries the weights' SHA-256, and the bundle's
own hash is taken over the card, so one short string in a recording names the model completely, and
one signature covers it. Nothing here can run code on loading. A fourth thing may lie in it:
``engines/``, what was compiled from the first two and can be made again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from .card import FORMAT_VERSION, Card
from .errors import BundleError, ConfigError
from .json_text import parsed_json
from .record.seal import Seal, give_seal, read_seal
from .record.signing import PrivateKey, load_or_create_key
from .record.trusted import Standing, own_standing, standing_of
from .small_file import CARD_BYTES, read_small

Arrays = Mapping[str, NDArray[np.floating]]
"""Learnt numbers by name."""

ENGINES = "engines"
"""Folder inside a bundle for what was compiled from it; see `diverloop.decoders.engines`."""

_CARD = "card.json"
_SEAL = "card.sig"
_WEIGHTS = "weights.safetensors"
_MOST_BYTES = {_CARD: CARD_BYTES, _WEIGHTS: 1 << 36}  # of weights: more than any machine holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a bundle was when it was read, and who vouched for it.

    Parameters
    ----------
    sha256 : str
        Its hash.
    seal : Seal or None
        The signature, checked; None if nobody had signed.
    """

    sha256: str
    seal: Seal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A card and its arrays.

    Parameters
    ----------
    card : Card
        What the model is.
    arrays : mapping of str to ndarray
        Its learnt numbers, named ``part.name``: see `join_parts`.
    folder : Path, optional
        Where it was read from, and what was compiled from it lies; None if it was not read.
    origin : Origin, optional
        What it was when it was read; None if it was made here.
    """

    card: Card
    arrays: Arrays = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)
    origin: Origin | None = field(default=None, compare=False)

    def standing(self) -> Standing:
        """Who vouches for it, and what that is worth to this user.

        What was made here, and is on no disk yet, is this user's own. Raises `ConfigError` if this
        user's key or list of trusted keys cannot be used.
        """
        read = self.origin is not None and self.origin.sha256 == self.card.sha256
        return standing_of(self.origin.seal) if read and self.origin else own_standing()

    def part(self, name: str) -> dict[str, NDArray[np.floating]]:
        """Arrays of one part, for example ``"encoder"``, with the prefix taken off."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


def join_parts(**parts: Arrays) -> dict[str, NDArray[np.floating]]:
    """Put the arrays of several parts into one mapping; `Bundle.part` takes them out again.

    Parameters
    ----------
    **parts : mapping of str to ndarray
        For example ``encoder=encoder.to_arrays(), adapter=adapter.to_arrays()``.

    Returns
    -------
    arrays : dict
        The same arrays, named ``part.name``.
    """
    return {
        f"{part}.{key}": array for part, arrays in parts.items() for key, array in arrays.items()
    }


def take(arrays: Mapping[str, NDArray[Any]], name: str, n_dims: int) -> NDArray[np.float64]:
    """Get an array out of a bundle's part as float64.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The part.
    name : str
        Which array.
    n_dims : int
        How many dimensions it must have.

    Returns
    -------
    array : ndarray
        A copy, so that nobody can change it from outside.

    Raises
    ------
    BundleError
        If it is missing or has another number of dimensions.
    """
    if name not in arrays or arrays[name].ndim != n_dims:
        got = f"{arrays[name].ndim} dimensions" if name in arrays else "no such array"
        raise BundleError(
            f"The model needs an array {name!r} with {n_dims} dimensions, the bundle has {got}: "
            f"fit the model again."
        )
    return np.array(arrays[name], dtype=np.float64)


def save_bundle(bundle: Bundle, folder: str | Path, key: PrivateKey | None = None) -> str:
    """Write a bundle, whole or not at all, and sign it.

    A bundle that was read and is written as it was keeps its signature, or stays unsigned: copying
    is not vouching. Any other is signed.

    Parameters
    ----------
    bundle : Bundle
        What to write. The card's ``weights_sha256`` is filled in. What was compiled from it goes
        with it.
    folder : str or Path
        Where, ``NAME.bundle``. Must not exist: recordings name bundles by hash, so a bundle is
        never overwritten.
    key : PrivateKey, optional
        Who signs; this user if not given.

    Returns
    -------
    sha256 : str
        The bundle's hash, that is `Card.sha256` as written.

    Raises
    ------
    BundleError
        If the folder exists or is not called ``*.bundle``, an array is not finite floating
        point, or the card holds what JSON cannot.
    ConfigError
        If this user's key cannot be read or made.
    """
    folder = Path(folder)
    if folder.suffix != ".bundle":
        raise BundleError(f"A bundle is a folder called NAME.bundle, got {folder.name!r}: rename.")
    if folder.exists():
        raise BundleError(f"{folder} exists and a bundle is never overwritten: choose a new name.")
    _check_arrays(bundle.arrays, folder)
    weights = safetensors.numpy.save(
        {name: np.asarray(array, order="C") for name, array in bundle.arrays.items()}
    )
    written = replace(bundle.card, weights_sha256=hashlib.sha256(weights).hexdigest()).to_json()
    # Hash what a reader will see: an int given for a float comes back as a float.
    card = _parse_card(written.encode(), folder)
    files = {_CARD: card.to_json().encode(), _WEIGHTS: weights}
    if bundle.origin is not None and bundle.origin.sha256 == card.sha256:
        seal = bundle.origin.seal
    else:
        seal = give_seal("bundle", card.sha256, key or load_or_create_key())
    if seal is not None:
        files[_SEAL] = seal.to_bytes()
    _write_folder(folder, files | _compiled_files(bundle))
    return card.sha256


def load_bundle(folder: str | Path, *, sha256: str | None = None) -> Bundle:
    """Read a bundle and prove that it is the one that was saved.

    Parameters
    ----------
    folder : str or Path
        A ``NAME.bundle`` folder.
    sha256 : str, optional
        The bundle's hash, as a recording or `save_bundle` gave it: any other bundle is refused.

    Returns
    -------
    bundle : Bundle
        Card and arrays, and who signed them, if anybody did; whether that is somebody to trust
        says `Bundle.standing`.

    Raises
    ------
    BundleError
        If a file is missing, damaged, altered or of a newer format, an array is not finite
        floating point, or the signature is of something else.
    """
    folder = Path(folder)
    card = _parse_card(_read_file(folder, _CARD), folder)
    weights = _read_file(folder, _WEIGHTS)
    got = hashlib.sha256(weights).hexdigest()
    if got != card.weights_sha256:
        raise BundleError(
            f"The weights in {folder} have SHA-256 {got[:12]}..., the card says "
            f"{card.weights_sha256[:12]}...: they were altered or cut short, so fit or copy again."
        )
    if sha256 is not None and card.sha256 != sha256:
        raise BundleError(
            f"{folder} has hash {card.sha256[:12]}..., wanted is {sha256[:12]}...: it is another "
            f"bundle or its card was edited, so use the one that was named."
        )
    origin = Origin(sha256=card.sha256, seal=_checked_seal(folder, card.sha256))
    return Bundle(card=card, arrays=_parse_weights(weights, folder), folder=folder, origin=origin)


def sign_bundle(folder: str | Path, key: PrivateKey | None = None) -> Seal:
    """Vouch for a bundle that lies on the disk.

    Parameters
    ----------
    folder : str or Path
        A ``NAME.bundle`` folder without a signature, or with one of another key, which is replaced.
    key : PrivateKey, optional
        Who vouches; this user if not given.

    Returns
    -------
    seal : Seal
        As it lies in the bundle now.

    Raises
    ------
    BundleError
        If it cannot be loaded, or the signature not written.
    ConfigError
        If this user's key cannot be read or made.
    """
    folder = Path(folder)
    seal = give_seal("bundle", load_bundle(folder).card.sha256, key or load_or_create_key())
    draft = folder / f".{_SEAL}.{secrets.token_hex(4)}"
    try:
        draft.write_bytes(seal.to_bytes())
        draft.replace(folder / _SEAL)
    except OSError as error:
        raise BundleError(
            f"{folder} cannot be signed ({error.strerror}): check disk and rights."
        ) from error
    return seal


def _checked_seal(folder: Path, sha256: str) -> Seal | None:
    """The signature of a bundle, if it has one; refused if it is of something else."""
    try:
        seal = read_seal(folder / _SEAL)
    except ConfigError as error:
        raise BundleError(str(error)) from error
    if seal is not None and not seal.holds("bundle", sha256):
        raise BundleError(
            f"The card in {folder} is not the one that was signed ({seal.fingerprint}): card or "
            f"signature was altered, so copy the bundle again from where it came."
        )
    return seal


def _compiled_files(bundle: Bundle) -> dict[str, bytes]:
    """What was compiled from a bundle, as it lies beside it; whether it is whole is told later."""
    compiled = bundle.folder / ENGINES if bundle.folder else None
    if compiled is None or not compiled.is_dir():
        return {}
    try:
        files = sorted(path for path in compiled.iterdir() if path.name[0] != ".")
        return {f"{ENGINES}/{path.name}": path.read_bytes() for path in files}
    except OSError as error:
        raise BundleError(
            f"What was compiled from {bundle.folder} cannot be read ({error}): check rights, or "
            f"delete {compiled} and compile again."
        ) from error


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Fill a folder beside the wanted one, then rename it: a reader never sees half a bundle."""
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True)
        for name, content in files.items():
            (draft / name).parent.mkdir(exist_ok=True)
            with (draft / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise BundleError(
            f"{folder} cannot be written ({error}): check disk and rights."
        ) from error


def _read_file(folder: Path, name: str) -> bytes:
    try:
        return read_small(folder / name, _MOST_BYTES[name])
    except OSError as error:
        raise BundleError(
            f"{folder} has no readable {name} ({error.strerror}): a bundle is a folder with "
            f"{_CARD} and {_WEIGHTS}, so check the path or copy it again."
        ) from error


def _parse_card(text: bytes, folder: Path) -> Card:
    try:
        content = parsed_json(text)
    except ValueError as error:
        raise BundleError(
            f"{folder / _CARD} is not JSON ({error}): it is damaged, so copy the bundle again."
        ) from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise BundleError(
            f"{folder} has format version {version!r}, this diverloop reads 1 to "
            f"{FORMAT_VERSION}: update diverloop, or fit the model again."
        )
    try:
        return msgspec.convert(content, Card)
    except (msgspec.ValidationError, ValueError) as error:  # ValueError: half a surrogate pair
        raise BundleError(
            f"{folder / _CARD} is not a card ({error}): restore the field, or fit the model again."
        ) from error


def _parse_weights(weights: bytes, folder: Path) -> dict[str, NDArray[np.floating]]:
    try:
        arrays = safetensors.numpy.load(weights)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise BundleError(
            f"{folder / _WEIGHTS} is not a safetensors file ({error}): fit the model again."
        ) from error
    _check_arrays(arrays, folder)
    return arrays


def _check_arrays(arrays: Mapping[str, NDArray[Any]], folder: Path) -> None:
    for name, array in arrays.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise BundleError(
                f"Array {name!r} of {folder} is {array.dtype}, allowed is floating point: "
                f"convert it, or put it into the card."
            )
        if not np.isfinite(array).all():
            raise BundleError(
                f"Array {name!r} of {folder} holds NaN or infinity, allowed are finite numbers: "
                f"fit the model again."
            )
