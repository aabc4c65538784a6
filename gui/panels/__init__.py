"""The parts of the dashboard: one thing to look at each."""
