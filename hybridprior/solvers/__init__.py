"""The algorithms that minimise the objective."""
