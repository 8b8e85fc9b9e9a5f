"""Where events come from: files, HTTP, the police's public feed."""
