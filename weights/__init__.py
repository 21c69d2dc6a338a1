"""The pretrained weights that ship with the package, described in `manifest.toml`."""
