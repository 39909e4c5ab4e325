"""Floor 1: TOML → specs, with every complaint located."""
