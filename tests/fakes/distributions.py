"""Distributions with a plugin, as an installer leaves them: the module, and a dist-info folder beside it."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import frame


def install_distribution(site: Path, distribution: str, text: str, name: str | None = None) -> Path:
    """Put a distribution of version 0.3 into the folder `site`; its plugin is called `name`, or as its module is."""
    module = distribution.replace("-", "_")
    site.mkdir(exist_ok=True)
    (site / f"{module}.py").write_text(text)
    info = site / f"{module}-0.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text(f"[frame.plugins]\n{name or module} = {module}\n")
    return site / f"{module}.py"


def plugin(body: str, offers: str = "{'NAME': Mine}") -> str:
    """Return the text of a plugin's module: `body`, in which `Mine` is defined, and the hook that offers it."""
    used = ", ".join(sorted(name for name in frame.__all__ if name[0].isupper() and re.search(rf"\b{name}\b", body)))
    return (
        f"from frame import {used or 'Component'}\nfrom frame import hookimpl\n\n{dedent(body)}\n\n"
        f"@hookimpl\ndef frame_components():\n    return {offers}\n"
    )


def model(name: str) -> str:
    """Return the text of a plugin's module that offers a model."""
    body = """
    class Mine(ModelComponent):
        \"\"\"Learns nothing.\"\"\"

        def build(self, data):
            raise NotImplementedError
    """
    return plugin(body, f"{{'{name}': Mine}}")
