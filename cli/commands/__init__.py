"""The commands of `hprior`, one file each."""
