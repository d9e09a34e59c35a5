"""What every room may use: types, the grid of cells, files, settings, the machine. Imports nothing of the package."""
