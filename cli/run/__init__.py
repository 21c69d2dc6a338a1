"""What the commands share: requests, jobs, worker processes and their records."""
