"""Scenes in three dimensions, made of textured planes, seen by cameras whose poses and depths are known exactly."""
