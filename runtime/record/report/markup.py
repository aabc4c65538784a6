"""HTML that cannot forget to escape: text is text until `element` has made it markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_EMPTY = ("br", "col", "meta")


class Html(str):
    """Text that is markup already; everything else is escaped when it is put inside."""

    __slots__ = ()


class Missing(Html):
    """A sentence in the place of what cannot be shown."""

    __slots__ = ()


Part = str | Html
"""What may stand inside an element."""


def element(name: str, /, *parts: Part, **attributes: str) -> Html:
    """One element with what is inside it.

    Parameters
    ----------
    name : str
        Tag, for example ``"p"``.
    *parts : str or Html
        Contents; plain text is escaped.
    **attributes : str
        A trailing underscore is dropped, other underscores become hyphens: ``class_="tile"``.

    Returns
    -------
    html : Html
        Markup.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    if name in _EMPTY:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(parts)}</{name}>")


def missing(text: str) -> Missing:
    """Say in a sentence why there is nothing to show."""
    return Missing(element("p", text, class_="missing"))


def joined(parts: Iterable[Part]) -> Html:
    """Parts one after the other, plain text escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def table(
    head: Sequence[str], rows: Iterable[Sequence[Part]], *, numbers_from: int = 99, kind: str = ""
) -> Html:
    """A table.

    Parameters
    ----------
    head : sequence of str
        Titles of the columns.
    rows : iterable of sequences
        Cells.
    numbers_from : int
        Columns from here on hold numbers and are set flush right.
    kind : str
        Class of the table, for the style sheet.

    Returns
    -------
    html : Html
        Markup.
    """

    def cells(name: str, row: Sequence[Part]) -> Html:
        return joined(
            element(name, cell, class_="number" if place >= numbers_from else "text")
            for place, cell in enumerate(row)
        )

    body = joined(element("tr", cells("td", row)) for row in rows)
    return element(
        "table",
        element("thead", element("tr", cells("th", head))),
        element("tbody", body),
        class_=kind or "plain",
    )


def pairs(rows: Iterable[tuple[str, Part]]) -> Html:
    """Terms with what they stand for, one below the other."""
    return element(
        "dl",
        *(element("div", element("dt", term), element("dd", value)) for term, value in rows),
    )


def page(title: str, css: str, *body: Part, policy: Part = "") -> str:
    """A whole page that needs nothing but itself.

    Parameters
    ----------
    title : str
        Of the window.
    css : str
        How it looks.
    *body : str or Html
        What it shows.
    policy : Html, optional
        What a browser may do with it.

    Returns
    -------
    html : str
        Ends with a line feed.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        policy,
        element("title", title),
        element("style", Html(css)),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *body), lang='en')}\n"
