"""Floor 3: everything that touches the kernel."""
