"""Fused layers and upsampling for GPUs and for bf16."""
