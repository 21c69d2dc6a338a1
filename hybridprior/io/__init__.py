"""Image files, images as tensors and arrays, and files of records."""
