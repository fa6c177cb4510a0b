"""The live log of the runs this process executes."""
