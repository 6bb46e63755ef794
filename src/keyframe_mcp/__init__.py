"""Keyframe MCP: video generation for AI agents."""

__version__ = "0.1.0"
