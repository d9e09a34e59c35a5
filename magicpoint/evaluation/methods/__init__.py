"""What is compared: networks, OpenCV's methods and chance, on synthetic shapes and on pairs of photographs."""
