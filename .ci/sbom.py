"""Bills of materials in CycloneDX's JSON: of each wheel, beside it, and of what goes into the runner's image.

    python .ci/sbom.py wheels WHEEL...                     NAME-VERSION.cdx.json beside each
    python .ci/sbom.py context FOLDER OUTPUT               installs what docker/runner gathered, as its Dockerfile does
    python .ci/sbom.py installed NAME INSTALLED OUTPUT     what installed.py has printed inside of an image

Each lists the packages and every file of them, with hashes of what was read. What pip has put where and no package has
recorded ends the program. A wheel always gives the same document; byte code, and so an installation, bears times.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from installed import packages
from packageurl import PackageURL
from packaging.requirements import Requirement

EPOCH = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), UTC)
"""When a document says that it was made; by default when ZIP archives begin, as in wheels that can be made again."""


def of_wheel(wheel: Path) -> Bom:
    """The bill of one wheel: its files, and what it declares to need."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    _check_record(wheel, content)
    (place,) = [name for name in content if name.endswith(".dist-info/METADATA")]
    about = Parser().parsestr(content[place].decode())
    package = {
        "name": about["Name"],
        "version": about["Version"],
        "license": about.get("License-Expression") or "",
        "files": [{"path": name, "sha256": _sha256(data)} for name, data in sorted(content.items())],
    }
    subject = component(package, hashes=[_hash(_sha256(wheel.read_bytes()))])
    needs = sorted({one.name: one for one in map(Requirement, about.get_all("Requires-Dist") or ())}.items())
    return document(subject, [_declared(one) for _, one in needs])


def of_installed(name: str, found: Iterable[Mapping[str, Any]], prefix: str = "") -> Bom:
    """The bill of what pip has installed somewhere.

    Args:
        name: What it is about.
        found: What `installed.packages` returns.
        prefix: Taken off the paths of files.
    """
    packages = [component(one, prefix=prefix) for one in found]
    return document(Component(name=name, type=ComponentType.CONTAINER, bom_ref=name), packages)


def component(package: Mapping[str, Any], *, prefix: str = "", hashes: Iterable[HashType] = ()) -> Component:
    """A package with its files."""
    purl = PackageURL("pypi", name=package["name"].lower().replace("_", "-"), version=package["version"])
    files = [
        Component(name=path, type=ComponentType.FILE, bom_ref=f"{purl}#{path}", hashes=[_hash(one["sha256"])])
        for one in package["files"]
        for path in [one["path"].removeprefix(prefix).lstrip("/")]
    ]
    return Component(
        name=package["name"],
        version=package["version"],
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=hashes,
        licenses=[LicenseExpression(package["license"])] if package["license"] else [],
        components=files,
    )


def document(subject: Component, components: Iterable[Component]) -> Bom:
    """A bill about a subject, which it needs to know what depends on what."""
    bom = Bom(components=components)
    bom.metadata.component, bom.metadata.timestamp = subject, EPOCH
    bom.register_dependency(subject, list(bom.components))
    return bom


def write(bom: Bom, output: Path) -> None:
    """Write a bill, once the official schema has found it valid. Its serial number follows from what it says."""
    bom.serial_number = uuid.UUID(int=0, version=4)
    content = JsonV1Dot6(bom).output_as_string(indent=1)
    bom.serial_number = uuid.UUID(bytes=hashlib.sha256(content.encode()).digest()[:16], version=4)
    text = JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
    if faults := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"{output}: not CycloneDX 1.6: {faults}")
    output.write_text(text)
    print(output)


def install(context: Path, prefix: Path) -> Path:
    """Install what an image's context holds, as its Dockerfile does; return the folder of the distributions."""
    options = ("--no-index", "--find-links", str(context), "--require-hashes", "--prefix", str(prefix))
    where = ("--no-cache-dir", "--root-user-action", "ignore", "--no-warn-script-location", "--ignore-installed")
    requirements = ("--requirement", str(context / "requirements.txt"))
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *where, *options, *requirements], check=True)
    (folder,) = prefix.glob("lib*/python*/site-packages")
    return folder


def see_that_all_is_listed(found: Iterable[Mapping[str, Any]], prefix: Path) -> None:
    """End the program where a file lies below a prefix that no package has recorded, or none lies where one has."""
    listed = {one["path"] for package in found for one in package["files"]}
    if odd := listed ^ {str(path) for path in prefix.rglob("*") if not path.is_dir()}:
        sys.exit(f"not recorded, or not there: {', '.join(sorted(odd))}")


def _declared(need: Requirement) -> Component:
    """What a wheel declares to need, of no certain version."""
    purl = PackageURL("pypi", name=need.name.lower().replace("_", "-"))
    declared = [Property(name="declared", value=str(need))]
    return Component(name=need.name, bom_ref=str(purl), purl=purl, properties=declared)


def _check_record(wheel: Path, content: Mapping[str, bytes]) -> None:
    """See that a wheel holds what its RECORD lists, and nothing else."""
    (place,) = [name for name in content if name.endswith(".dist-info/RECORD")]
    rows = {row[0]: row[1] for row in csv.reader(io.StringIO(content[place].decode())) if row}
    wrong = {
        name
        for name in rows.keys() | content.keys()
        if name not in rows or name not in content or (name != place and rows[name] != _recorded(content[name]))
    }
    if wrong:
        sys.exit(f"{wheel.name}: not as its RECORD says: {', '.join(sorted(wrong))}")


def _recorded(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def main(what: str, *arguments: str) -> None:
    """Write the bills that the command line asks for."""
    if what == "wheels":
        for wheel in map(Path, arguments):
            name, version = wheel.name.split("-")[:2]
            write(of_wheel(wheel), wheel.with_name(f"{name}-{version}.cdx.json"))
    elif what == "context":
        context, output = map(Path, arguments)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder).resolve()
            found = packages([install(context.resolve(), place)])
            see_that_all_is_listed(found, place)
            write(of_installed("scaler-batch-runner", found, str(place)), output)
    elif what == "installed":
        name, source, output = arguments
        write(of_installed(name, json.loads(Path(source).read_text())), Path(output))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
