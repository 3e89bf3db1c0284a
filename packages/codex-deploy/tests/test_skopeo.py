"""Another tool's view: skopeo copies the bundle by its name, and finds the digest that we say."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from codex_core.status import Bundle

SKOPEO = shutil.which("skopeo")


@pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed (apt-get install skopeo)")
def test_skopeo_copies_the_bundle_and_its_manifest_keeps_our_digest(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    words = ["copy", "--insecure-policy", "--preserve-digests", f"oci:{bundle.path}:{bundle.name}", f"oci:{copy}:v1"]
    done = subprocess.run([str(SKOPEO), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [manifest] = json.loads((copy / "index.json").read_bytes())["manifests"]
    assert manifest["digest"] == bundle.digest
    blob = f"blobs/sha256/{bundle.digest.removeprefix('sha256:')}"
    assert (copy / blob).read_bytes() == (bundle.path / blob).read_bytes()
