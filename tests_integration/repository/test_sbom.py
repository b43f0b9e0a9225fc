"""Bills of materials list every file that pip installs, with its hash, and are valid by the official schema."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cyclonedx", reason="needs the dependency group `sbom`")

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
WHEELS = sorted((ROOT / "wheelhouse").glob("*.whl"))
"""Those that `nox -s build` has made, where it has."""


def record(content: dict[str, bytes], place: str) -> bytes:
    """The RECORD of a wheel."""
    rows = []
    for name, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}")
    return "\n".join([*rows, f"{place},,", ""]).encode()


def make_wheel(folder: Path, name: str, *, needs: str = "") -> Path:
    """A wheel with modules, data and a script."""
    about = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: MIT\n{needs}"
    content = {
        f"{name}/__init__.py": b"def main():\n    pass\n",
        f"{name}/deep/data.bin": bytes(range(256)),
        f"{about}/METADATA": metadata.encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name}-run = {name}:main\n".encode(),
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for place, data in {**content, f"{about}/RECORD": record(content, f"{about}/RECORD")}.items():
            archive.writestr(place, data)
    return path


def sbom(*arguments: str | Path, expect: int = 0) -> str:
    command = [sys.executable, str(ROOT / ".ci" / "sbom.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stderr


def pip_install(prefix: Path, *what: str) -> dict[str, str]:
    """Everything that pip puts below a prefix, by path, with its hash."""
    options = ("--quiet", "--no-index", "--ignore-installed", "--no-deps", "--prefix", str(prefix))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *what], check=True, capture_output=True)
    files = [path for path in prefix.rglob("*") if path.is_file()]
    return {str(path.relative_to(prefix)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def files_of(component: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["hashes"][0]["content"] for one in component.get("components", ())}


def test_the_bill_of_a_context_lists_every_file_that_pip_installs_from_it(tmp_path: Path) -> None:
    context, prefix, bill = tmp_path / "context", tmp_path / "prefix", tmp_path / "image.cdx.json"
    context.mkdir()
    wheels = [make_wheel(context, name) for name in ("first", "second")]
    hashes = {one.name.split("-")[0]: hashlib.sha256(one.read_bytes()).hexdigest() for one in wheels}
    lines = [f"{name}==1.0 --hash=sha256:{digest}" for name, digest in hashes.items()]
    (context / "requirements.txt").write_text("\n".join(lines))
    sbom("context", context, bill)
    document = json.loads(bill.read_text())
    listed = {name: digest for one in document["components"] for name, digest in files_of(one).items()}
    installed = pip_install(prefix, *map(str, wheels))
    own = {name for name in installed if name.endswith(".dist-info/direct_url.json")}  # of what is named by its path
    assert listed.keys() == installed.keys() - own
    same = {name for name in listed if not name.endswith((".pyc", "RECORD")) and "/bin/" not in f"/{name}"}
    assert {name: listed[name] for name in same} == {name: installed[name] for name in same}
    assert {one["purl"] for one in document["components"]} == {"pkg:pypi/first@1.0", "pkg:pypi/second@1.0"}
    assert any(name.startswith("bin/first-run") for name in listed)


@pytest.mark.parametrize("wheel", WHEELS or [None], ids=lambda one: one.name.split("-")[0] if one else "made-here")
def test_the_bill_of_a_wheel_lists_every_file_of_it_that_pip_installs(wheel: Path | None, tmp_path: Path) -> None:
    wheel = wheel or make_wheel(tmp_path, "third", needs="Requires-Dist: cloudpickle>=3\n")
    copy = tmp_path / "copy" / wheel.name
    copy.parent.mkdir()
    copy.write_bytes(wheel.read_bytes())
    sbom("wheels", copy)
    (bill,) = copy.parent.glob("*.cdx.json")
    document = json.loads(bill.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    subject = document["metadata"]["component"]
    assert subject["hashes"][0]["content"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
    listed = files_of(subject)
    installed = pip_install(tmp_path / "prefix", "--no-compile", str(copy))
    (purelib,) = (tmp_path / "prefix").glob("lib*/python*/site-packages")
    below = f"{purelib.relative_to(tmp_path / 'prefix')}/"
    by_pip = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")
    found = {name.removeprefix(below): one for name, one in installed.items() if not name.endswith(by_pip)}
    scripts = {name for name in found if name.startswith("bin/")}
    assert {name: one for name, one in listed.items() if not name.endswith(by_pip)} == {
        name: one for name, one in found.items() if name not in scripts
    }
    first = bill.read_bytes()
    sbom("wheels", copy)
    assert bill.read_bytes() == first, "the same wheel, the same bill"


@pytest.mark.parametrize("damage", ["changed", "added"])
def test_a_wheel_that_is_not_as_its_record_says_gets_no_bill(damage: str, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "third")
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["third/__init__.py" if damage == "changed" else "third/evil.py"] = b"import os"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    assert "not as its RECORD says" in sbom("wheels", wheel, expect=1)
    assert list(tmp_path.glob("*.json")) == []
