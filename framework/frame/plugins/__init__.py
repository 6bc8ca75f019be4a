"""Finding plugins, loading them, and what they offer."""
