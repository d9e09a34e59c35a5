"""Losses: arithmetic on tensors, a file for each."""
