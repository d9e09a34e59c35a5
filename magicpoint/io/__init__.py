"""Files and cameras to arrays and records, and back. Imports `core`."""
