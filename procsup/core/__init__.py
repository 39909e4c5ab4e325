"""Floor 0: values and decisions. Pure: no clock, no kernel, no randomness; `now` is a parameter."""
