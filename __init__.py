"""diverloop: a real-time closed-loop brain-computer interface runtime.

Investigational research software, not a medical device.
"""

__version__ = "0.1.0"
