"""The remote back end: kernels of a Jupyter Kernel Gateway."""
