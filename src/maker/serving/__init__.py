"""The voting proxy: an OpenAI-compatible server whose answers are voted on. Needs the extra `serve`."""
