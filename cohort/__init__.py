"""The same work on thousands of recordings: hashed, spread by Dask, kept, put in one table."""
