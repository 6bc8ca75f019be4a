"""Datasets: from files to images and labels."""
