"""Pictures of every window, made by ``python -m tests.pictures``."""
