"""Known planar things: scenes, the detector of quadrilaterals, its verifier. Imports `training` and what is below."""
