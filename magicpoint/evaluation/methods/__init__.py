"""What is compared: networks, and OpenCV's methods."""
