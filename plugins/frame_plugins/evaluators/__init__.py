"""Evaluators: how a model predicts."""
