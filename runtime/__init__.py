"""The loop and its vocabulary. Imports no sibling, no torch, no Qt, no device library."""
