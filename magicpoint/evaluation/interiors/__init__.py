"""The comparison on rendered rooms, where depth is known and views differ by more than a homography."""
