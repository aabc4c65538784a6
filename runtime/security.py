"""Whose models and settings a session accepts.

A live session runs a model that this user, or somebody this user trusts, has signed; a replay runs
any, and says so. See `diverloop.runtime.record.trusted` for who is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

from .bundle import Bundle
from .errors import BundleError
from .record.trusted import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """What a session accepts.

    Parameters
    ----------
    unknown_models : bool
        Whether a live session may run a model that nobody has signed, or somebody unknown; it goes
        on record.
    """

    unknown_models: bool = False


def vouch(bundle: Bundle, config: SecurityConfig, *, live: bool) -> Standing:
    """Refuse a model that nobody trusted vouches for, if it is to act on somebody.

    Parameters
    ----------
    bundle : Bundle
        The model.
    config : SecurityConfig
        What the session accepts.
    live : bool
        Whether the session is live; a replay takes any model.

    Returns
    -------
    standing : Standing
        Who vouches for it.

    Raises
    ------
    BundleError
        If nobody trusted does, and the session neither is a replay nor says that it may.
    """
    standing = bundle.standing()
    if standing.trusted or not live or config.unknown_models:
        return standing
    raise BundleError(
        f"The model {bundle.folder} is {standing.words()}, and what is live or is signed anew must "
        f"be this user's or a trusted key's: {advice(bundle)}."
    )


def advice(bundle: Bundle) -> str:
    """What to do about a model that a live session refuses, as the end of a sentence."""
    return (
        f"run diverloop trust add {bundle.folder} --name NAME if you know whose key it is, "
        f"diverloop trust sign {bundle.folder} to answer for it, or let this session run any with "
        f"security.unknown_models = true"
    )


def whose(bundle: Bundle) -> tuple[str, ...]:
    """A notice for whoever runs a model that nobody trusted vouches for; empty for any other."""
    standing = bundle.standing()
    return () if standing.trusted else (f"Notice: this model is {standing.words()}.",)
