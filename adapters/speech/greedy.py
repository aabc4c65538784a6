"""The most probable token of every frame, without lexicon and language."""

from __future__ import annotations

from .beam import BLANK


class BestPath:
    """Tokens along the best path: repeats count once, blanks not at all."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Nothing was said yet."""
        self.tokens: list[int] = []
        self._last = BLANK

    def step(self, token: int) -> int | None:
        """Take in the most probable token of the next frame.

        Parameters
        ----------
        token : int
            `BLANK` or a token.

        Returns
        -------
        new : int, optional
            The token, if it begins here.
        """
        begins = token not in (BLANK, self._last)
        self._last = token
        if not begins:
            return None
        self.tokens.append(token)
        return token
