"""Counts the files, lines and bytes of a folder: python count.py FOLDER OUTPUT.json"""

import json
import sys
from pathlib import Path


def main(folder: str, output: str) -> None:
    """Write the counts of all files below ``folder`` to ``output``."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    contents = [path.read_bytes() for path in files]
    counts = {
        "files": len(files),
        "lines": sum(content.count(b"\n") for content in contents),
        "bytes": sum(map(len, contents)),
    }
    Path(output).write_text(json.dumps(counts, indent=2) + "\n")
    print(f"{counts['files']} files, {counts['lines']} lines, {counts['bytes']} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
