"""Everything with a plug, and what stands in for it."""
