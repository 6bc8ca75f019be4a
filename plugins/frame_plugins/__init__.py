"""frame's built-in plugins: one file or folder a plugin, found through the same entry points as anybody's."""
