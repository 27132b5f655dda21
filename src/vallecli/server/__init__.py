"""Voices over HTTP, in the protocol of OpenAI's audio/speech; see docs/server.md."""
