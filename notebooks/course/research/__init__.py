"""Experiments over many seeds: their runs, logs, statistics and findings."""
