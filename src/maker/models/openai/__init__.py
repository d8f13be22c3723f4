"""Models over HTTP: any server that speaks the chat completions of OpenAI."""

from maker.models.openai.client import OpenAI, from_spec

__all__ = ["OpenAI", "from_spec"]
