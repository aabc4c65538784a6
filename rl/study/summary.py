"""What a study found, as plain data and as a table to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arms import FROZEN, ORACLE, REWARD, SHUFFLED_REWARD, Arm
from .figures import (
    WORTH,
    Estimate,
    Row,
    Table,
    by_person,
    gained,
    gravely_harmed,
    harmed,
    mean_accuracy,
    paired,
    recovered,
    worst_loss,
)

HEADS = (
    "arm", "envelope", "accuracy", "gain on frozen", "loss recovered", "sessions harmed > 2 points",
    "> 5 points", "worst", "promotions", "roll-backs",
)  # fmt: skip


def summarise(rows: Sequence[Row], arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """One entry for each arm, with the envelope and without.

    Parameters
    ----------
    rows : sequence of Row
        Of one group of places.
    arms : sequence of Arm
        In the order wanted.

    Returns
    -------
    entries : list of dict
        Ready for JSON; ``"loss"`` counts the sessions in which there is one to recover.
    """
    return [
        entry
        for arm in arms
        for held in ((True, False) if arm.held else (False,))
        if (entry := _entry(rows, arm.name, held)) is not None
    ]


def reward_over_shuffled(rows: Sequence[Row], held: bool) -> Estimate:
    """What rewards add to the same rule told rewards that are about nothing.

    Parameters
    ----------
    rows : sequence of Row
        Of any places.
    held : bool
        With the envelope or without.

    Returns
    -------
    estimate : Estimate
        Difference of accuracies, session by session.
    """
    reward, shuffled = paired(rows, REWARD, held), paired(rows, SHUFFLED_REWARD, held)
    both = reward.accuracy.copy()
    # The same sessions stand in the same rows of both.
    both[:, 0] = shuffled.accuracy[:, 1]
    return by_person(Table(accuracy=both, persons=reward.persons), gained)


def as_markdown(entries: Sequence[Mapping[str, Any]]) -> str:
    """A table of entries, as Markdown.

    Parameters
    ----------
    entries : sequence of mapping
        From `summarise`.

    Returns
    -------
    text : str
        With a line of heads.
    """
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    for one in entries:
        cells = [
            str(one["arm"]),
            "—" if one["arm"] in (FROZEN, ORACLE) else "on" if one["held"] else "off",
            _text(one["accuracy"]),
            _text(one["gain"], sign=True),
            _text(one["recovered"]),
            _text(one["harmed"]),
            _text(one["gravely_harmed"]),
            f"{one['worst']:.2f}",
            f"{one['promotions']:.1f}",
            f"{one['rollbacks']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _entry(rows: Sequence[Row], arm: str, held: bool) -> dict[str, Any] | None:
    table = paired(rows, arm, held)
    own = [row for row in rows if row.arm == arm and row.held == held]
    if not len(table.accuracy) or not own:
        return None
    loss = table.accuracy[:, 2] - table.accuracy[:, 0]
    return {
        "arm": arm,
        "held": held,
        "sessions": len(table.accuracy),
        "loss": int((loss >= WORTH).sum()),
        "accuracy": by_person(table, mean_accuracy).as_dict(),
        "gain": by_person(table, gained).as_dict(),
        "recovered": by_person(table, recovered).as_dict(),
        "harmed": by_person(table, harmed).as_dict(),
        "gravely_harmed": by_person(table, gravely_harmed).as_dict(),
        "worst": round(worst_loss(table.accuracy), 3),
        "promotions": round(sum(row.promotions for row in own) / len(own), 2),
        "rollbacks": round(sum(row.rollbacks for row in own) / len(own), 2),
    }


def _text(estimate: Mapping[str, Any], *, sign: bool = False) -> str:
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return "nothing to recover"
    form = "+.2f" if sign else ".2f"
    interval = "" if low is None else f" ({low:{form}} to {high:{form}})"
    return f"{value:{form}}{interval}"
