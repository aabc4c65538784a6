"""What a teacher or a student makes of a segment of a corpus, as plain arrays."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from .corpus_array import Signal
from .corpus_files import MODALITIES, CorpusEntry
from .student import Student
from .teacher import Teacher


class FeatureReader:
    """A model that only reads, on one thread.

    Parameters
    ----------
    model : Teacher or Student
        Taken over, and switched to reading.
    """

    def __init__(self, model: Teacher | Student) -> None:
        torch.set_num_threads(1)  # many readers share the cores
        self._model = model.eval()

    def read(self, entry: CorpusEntry, signal: Signal) -> NDArray[np.float32]:
        """Features of one segment.

        Parameters
        ----------
        entry : CorpusEntry
            What the rows are.
        signal : ndarray of float32, shape (n_channels, n_times)
            Microvolts at 500 Hz, for a teacher whole patches.

        Returns
        -------
        features : ndarray of float32
            A teacher's, shape (n_channels, n_patches, width), or a student's latents, shape
            (n_hops, n_latents * width).

        Raises
        ------
        ConfigError
            If the length is not one of whole patches, or a sample is not finite.
        """
        x = torch.from_numpy(np.array(signal, dtype=np.float32))[None]
        positions = torch.tensor(entry.positions_mm, dtype=torch.float32)[None]
        modality = torch.tensor([MODALITIES.index(entry.modality)])
        with torch.no_grad():
            if isinstance(self._model, Student):
                found = self._model(x, None, positions, modality).latents.flatten(2)
            else:
                found = self._model(x, positions, modality, torch.tensor(entry.subtypes)[None])
        array: NDArray[np.float32] = found[0].numpy()
        return array
