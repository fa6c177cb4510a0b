"""The built-in offline model, which plays the script written in a conversation."""
