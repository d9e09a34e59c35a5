"""Detectors on labelled images."""
