"""Window to embedding."""
