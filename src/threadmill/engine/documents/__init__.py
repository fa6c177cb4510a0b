"""File to chunks to index, and the search over them. Below objects and running; knows neither."""
