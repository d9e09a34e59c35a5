"""Homographic adaptation: a detector labels photographs. Imports `inference` and what is below."""
