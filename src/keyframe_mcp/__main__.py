"""`python -m keyframe_mcp` is the command `keyframe-mcp`."""

from keyframe_mcp.cli import main

if __name__ == "__main__":
    main()
