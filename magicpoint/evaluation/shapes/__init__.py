"""The comparison on synthetic shapes."""
