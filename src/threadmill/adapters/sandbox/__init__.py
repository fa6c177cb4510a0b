"""Back ends of the sandbox port: bwrap (default), remote (a Jupyter Kernel Gateway), off."""
