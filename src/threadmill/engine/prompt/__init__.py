"""What the model is told and how its calls are read: conversation, tool definitions, search results. No run here."""
