"""An environment for each peer, made when first needed."""

import subprocess
import sys
import venv
from pathlib import Path

PEERS = {
    # Its sdist needs cmake, a C++ compiler, and pkg_resources of older setuptools.
    "xlearn": [
        ["setuptools<70", "wheel", "numpy", "scipy", "pandas", "polars"],
        ["--no-build-isolation", "xlearn==0.40a1"],
    ],
    "modern-fm": [["modern-fm==1.1.2", "numpy", "scipy"]],
}
# Not in a package: the suites of benchmarks/ would import them where peers are not.
SCRIPTS = {
    "ours": "sides/run_ours.py",
    "xlearn": "sides/run_xlearn.py",
    "modern-fm": "sides/run_modern_fm.py",
}


def python_of(side, root):
    """Path of the interpreter that runs a side's script; ours is this one."""
    if side == "ours":
        return Path(sys.executable)
    folder = Path(root) / side
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        for words in PEERS[side]:
            subprocess.run([python, "-m", "pip", "install", "-q", *words], check=True)
        (folder / "ready").touch()
    return python
