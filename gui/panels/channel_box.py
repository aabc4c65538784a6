"""A list to choose one channel from, by pointing, by the arrow keys or by typing its name."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QCompleter


class ChannelBox(QComboBox):
    """Channels of a stream.

    Parameters
    ----------
    first : sequence of str
        What can be chosen before the channels.
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        super().__init__()
        self._first = tuple(first)
        self._names: tuple[str, ...] = ()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setToolTip("Channel: type a name, or arrow up and down")
        self.setAccessibleName("Channel")
        self.setMinimumContentsLength(13)
        self.addItems(self._first)
        completer = self.completer()
        assert completer is not None  # an editable box has one
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)

    @property
    def channel(self) -> int:
        """Which row of the stream; -1 for one of those before the channels, or for none."""
        return max(self.currentIndex() - len(self._first), -1)

    def offer(self, names: Sequence[str]) -> None:
        """Offer the channels of a stream; what was chosen stays, where it is there again.

        Parameters
        ----------
        names : sequence of str
            Labels in the order of the stream.
        """
        if tuple(names) == self._names:
            return
        before, self._names = self.currentText(), tuple(names)
        self.clear()
        self.addItems([*self._first, *names])
        self.setCurrentIndex(max(self.findText(before), 0))

    def step(self, by: int) -> None:
        """To the next one, or back.

        Parameters
        ----------
        by : int
            How many.
        """
        self.setCurrentIndex(min(max(self.currentIndex() + by, 0), self.count() - 1))
