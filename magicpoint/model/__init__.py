"""The network and its weights. Imports `core`."""
