"""Models that are kept on this machine by their hash, and the places they are pulled from.

Whatever comes from elsewhere is in the end one folder of the store, named by the bundle's hash.
A session opens it from there, without a network. Only `hub` knows Hugging Face's library.
"""
