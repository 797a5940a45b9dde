"""Which packages setup_dev.py installs, as they are written there."""

import ast

from shipped import ROOT

SCRIPT = ROOT / "setup_dev.py"


def pins() -> list[str]:
    """Every package with its version, torch first."""
    nodes = [node for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body if isinstance(node, ast.Assign)]
    values = {ast.unparse(node.targets[0]): node.value for node in nodes}
    torch, *others = (ast.literal_eval(values[name]) for name in ("TORCH", "RUN_TIME", "TOOLS", "SLICER"))
    return [torch, *(pin for group in others for pin in group)]
