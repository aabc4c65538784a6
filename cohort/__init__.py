"""The same work on thousands of recordings: found, hashed, spread by Dask, kept, put in one table."""
