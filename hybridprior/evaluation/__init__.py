"""Evaluation against ground truth: benchmarks, ablations, reports."""
