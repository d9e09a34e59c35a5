"""Networks as files of other formats; a format is a file here. Imports `core`, `model` and `decoding`."""
