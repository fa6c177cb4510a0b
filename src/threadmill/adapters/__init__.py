"""The ports' implementations. A folder never imports its neighbour; `sql` is what SQL engines share."""
