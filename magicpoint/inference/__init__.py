"""The extractor and its engines. Imports `export` and what is below; never `training`."""
