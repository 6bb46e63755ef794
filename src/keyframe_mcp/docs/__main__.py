"""`python -m keyframe_mcp.docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from keyframe_mcp.docs import main

sys.exit(main(sys.argv[1:], Path.cwd()))
