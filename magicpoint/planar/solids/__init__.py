"""The orientation of a known solid: views at known orientations, and which of them a query shows."""
