"""From batches to weights: targets, losses, tasks, the loop. Imports `measures`, `data` and what is below."""
