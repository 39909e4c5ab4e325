"""Floor 1: lines ⇄ dataclasses. The one schema of calls, answers and events."""
