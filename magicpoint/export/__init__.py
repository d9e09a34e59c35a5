"""Networks as files of other formats; a format is a file here and a row in `formats`. Imports `core` to `decoding`."""
