"""Tables, statements and row codec, written once for every SQL engine."""
