"""Analyzers, run over a finished training or its history."""
