"""Whether a quadrilateral of a scene shows a given template in a given orientation."""
