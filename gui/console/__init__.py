"""The operator's console: a session as steps, one next thing to do, and the stop always there."""
