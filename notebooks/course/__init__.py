"""The course's own code: checks of exercises, figures of one notebook, explorers, research."""
