"""One run's life: worker, reaper, run loop, turn, and the answers to tool calls."""
