"""Analysis of a degraded image: its noise, its JPEG compression, and the task that restores it."""
