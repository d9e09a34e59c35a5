"""How a run judges itself, a file for each task."""
