"""Analyzers: what a finished run is shown by."""
