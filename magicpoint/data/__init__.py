"""Images with labels to training batches, and the datasets of evaluations. Imports `core` to `matching`."""
