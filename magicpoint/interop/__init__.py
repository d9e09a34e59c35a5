"""Other programs: their weights, files and interfaces. Imports what stands below, the extractor among it."""
