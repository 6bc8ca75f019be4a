"""Optimizers, schedules, and the learning-rate finder."""
