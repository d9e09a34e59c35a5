"""From a folder of images to a SuperPoint of their own."""
