"""Methods under one change at a time, from none to much of it: noise, blur, light, compression, scale, angle, tilt."""
