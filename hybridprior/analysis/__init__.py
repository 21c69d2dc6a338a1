"""What a degraded image shows of its degradation: noise, JPEG compression, and the task."""
