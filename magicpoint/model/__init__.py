"""The networks and their weights. Imports `core`."""
