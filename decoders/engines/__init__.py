"""A student's step, run in several ways that must agree."""
