"""Faster convolution blocks and upsampling for GPUs and for bf16."""
