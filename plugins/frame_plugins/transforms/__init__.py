"""Transforms of samples and of batches."""
