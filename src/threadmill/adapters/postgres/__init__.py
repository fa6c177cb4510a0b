"""The store on PostgreSQL, for servers that outgrow one file (ADR-0023)."""
