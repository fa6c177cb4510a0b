"""Hours of everyday use in minutes: many clients that do everything at once."""
