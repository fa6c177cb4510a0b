"""What several rooms do with stored rows: try again after a lost race, create and delete files."""
