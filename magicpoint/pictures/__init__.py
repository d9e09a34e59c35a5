"""What a person looks at: keypoints, matches, tracks and labels, drawn. Imports `core` and `io`."""
