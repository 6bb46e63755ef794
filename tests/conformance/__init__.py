"""The official MCP conformance suite against this server: `make conformance`."""
