"""The report of a session: one HTML file and its PDF.

Calls point one way: `writing` asks `survey` and `course` what there is, the sections word it and
call the pictures; nothing below knows of anything above.
"""

from .inputs import Judged, Performance, ReliabilityBin, Score
from .pdf import write_pdf
from .writing import write_report

__all__ = ["Judged", "Performance", "ReliabilityBin", "Score", "write_pdf", "write_report"]
