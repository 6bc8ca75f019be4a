"""A run's folder: its names, its format, its lock."""
