"""`serve`: vLLM's OpenAI server, and what a Workspace needs around it."""
