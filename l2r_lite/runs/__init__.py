"""A run and its folder: start, guard, report, compare, export."""
