"""The language of recipes: from YAML to settings, and back."""
