"""The search index in this process: words by tantivy, nearness by numpy and usearch."""
