"""The command line, the panels, the doctor and the planner."""
