# /// script
# requires-python = ">=3.11"
# dependencies = ["nox[uv]>=2026.4"]
# ///
"""Everything that is done with this repository, one session each.

`python -m pip install "nox[uv]"` is all that a fresh machine needs beyond Python; this file also runs by itself
(`pipx run noxfile.py -s demo`, `uv run noxfile.py -s demo`). Without uv, environments are made by virtualenv and pip,
which takes some twenty seconds each in place of one or two.

What flows through: `build` makes a wheel of every distribution and a constraints file that names them. All other
environments install from those wheels, never from the checkout, so what is tested is what would be published. The
constraints tie our own names to the local files: no index is ever asked for them.

The list of packages is read from `packages/*/pyproject.toml`, the Python versions from their classifiers. Adding a
package edits no line here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import nox
from nox.project import dependency_groups, load_toml, python_versions

nox.needs_version = ">=2026.4"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # nox says which one it skips
nox.options.reuse_venv = "never"  # an installed wheel of the same version would hide a change

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it each of thousands of processes compiles all that it imports

ROOT = Path(__file__).parent
WHEELS = ROOT / "wheelhouse"
CONSTRAINTS = WHEELS / "constraints.txt"
HASHES = WHEELS / "SHA256SUMS"
LOCKS = ROOT / ".ci" / "locks"
REPORTS = ROOT / "build" / "reports"

PACKAGES = {path.parent.name: load_toml(path) for path in sorted(ROOT.glob("packages/*/pyproject.toml"))}
SOURCES = [ROOT / "packages" / name / "src" for name in PACKAGES]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({*python_versions(next(iter(PACKAGES.values()))), HERE}, key=lambda version: int(version[2:]))

CPUS = os.cpu_count() or 1
PER_CPU = 2
"""Test processes per processor where tests mostly wait for other processes."""

SHORT = "not long"
"""The marks of tests that `tests` runs."""

IMAGE = "scaler-batch-runner"
IMAGE_PYTHON = os.environ.get("SCALER_BATCH_IMAGE_PYTHON", "3.12")
IMAGE_ARCHITECTURE = os.environ.get("SCALER_BATCH_IMAGE_ARCHITECTURE", "amd64")
"""The Python in the image; whoever sends it tasks must have the same."""

RELEASES = ("2.9.0", "2.7.0", "2.6.0", "2.4.6")
"""Of Scaler: the last and the first that number messages anew, the last that does not, and one well before it."""

each_package = nox.parametrize("package", [nox.param(name, id=name) for name in PACKAGES])


# What the README names


@nox.session(requires=["build"])
def demo(session: nox.Session) -> None:
    """Run the harness through the real Scaler on a local AWS, in one fresh environment."""
    install(session, *everything())
    session.run("python", "tests_integration/demo.py", *session.posargs)


@nox.session(requires=["build", "job"])
def tests(session: nox.Session) -> None:
    """Test every package, then all of them together, with the Python that runs nox and in one environment."""
    test_all(session, SHORT, ("units", "integration"))
    others = ", ".join(version for version in PYTHONS if version != HERE)
    session.log(f"Tested with Python {HERE}. Not with {others}: `nox -s unit` tests with each that is installed.")


# What tests


@nox.session(tags=["artefacts"])
def build(session: nox.Session) -> None:
    """Build the source archive of every package, and from it the wheel, into `wheelhouse/`."""
    install_tools(session, "build")
    shutil.rmtree(WHEELS, ignore_errors=True)
    for name in PACKAGES:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(WHEELS), f"packages/{name}", silent=True)
    CONSTRAINTS.write_text("".join(f"{distribution(name)} @ {wheel(name).as_uri()}\n" for name in PACKAGES))
    HASHES.write_text("".join(f"{sha256(path)}  {path.name}\n" for path in map(wheel, PACKAGES)))


@nox.session(python=PYTHONS, requires=["build"], tags=["test"])
@each_package
def unit(session: nox.Session, package: str) -> None:
    """Test one package, with no other of ours installed than those its metadata declares."""
    install(session, with_extras(package), *group("test"), *own_group(package, "test"))
    options = options_of_tests(SHORT, by="test")
    run_pytest(session, f"packages/{package}/tests", *options, name=f"unit-{session.python}-{package}")


@nox.session(requires=["build", "job"], tags=["test"])
def long(session: nox.Session) -> None:
    """Test what takes too long for `tests`: many local AWSs, a provisioner cut off after every call, and the like."""
    test_all(session, "long", ("long-units", "long-integration"))


@nox.session(requires=["build", "job"], tags=["test"])
def integration(session: nox.Session) -> None:
    """Test all packages together: the real Scaler, the local AWS, and jobs in an environment of their own."""
    install_for_tests(session)
    run_pytest(
        session, "tests_integration", *options_of_tests(SHORT, by="module"), name="integration", env=job_python(session)
    )


@nox.session(requires=["build"])
def job(session: nox.Session) -> None:
    """Make the environment that a container image would hold: the runner and what it declares, nothing else."""
    install(session, distribution("runner"))


@nox.session(requires=["build", "job"], tags=["test"])
def steady(session: nox.Session) -> None:
    """Repeat contracts, flows and faults while every processor and the disk are kept busy: `-- --rounds 5`."""
    install_for_tests(session)
    session.run("python", "tests_integration/steady.py", *session.posargs, env=job_python(session))


@nox.session(python=IMAGE_PYTHON, requires=["image"], tags=["test"])
def integration_docker(session: nox.Session) -> None:
    """Test all packages together, with jobs as containers of the image that `image` builds."""
    needs_engine(session)
    install_for_tests(session)
    run_pytest(session, "tests_integration/image", name="integration_docker", env={"SCALER_BATCH_IMAGE": IMAGE})


@nox.session(requires=["build"], tags=["test"])
@nox.parametrize("release", [nox.param(release, id=release) for release in RELEASES])
def interop(session: nox.Session, release: str) -> None:
    """Test the protocol against one published release of Scaler."""
    install(session, with_extras("wire"), *group("test"), f"opengris-scaler[zmq]=={release}")
    contracts = ROOT / "tests_integration" / "contracts"
    names = ["test_wire_live.py", "test_wire_manager_live.py"]
    if release == RELEASES[0]:
        names.append("test_wire_against_upstream.py")
    session.run(
        "pytest", f"--confcutdir={contracts}", f"--junit-xml={report(f'interop-{release}')}", *session.posargs,
        *(str(contracts / name) for name in names),
    )  # fmt: skip


@nox.session(requires=["build"])
def account(session: nox.Session) -> None:
    """Live through everything on a real account, and leave nothing: `-- --region eu-central-1 --prefix try-1`."""
    install(session, *everything(), *group("scaler"))
    program = ("python", "tests_integration/account.py", *session.posargs)
    said = str(session.run(*program, "--may-run", silent=True)).strip()
    if said.startswith("skipped: "):
        session.skip(said.removeprefix("skipped: "))
    session.run(*program)


@nox.session(requires=["build", "job"])
def soak(session: nox.Session) -> None:
    """Live through days on which many things go wrong at once: `-- --rounds 100 --seed 7`."""
    install(session, *everything(), *group("test"), *group("scaler"))
    session.run("python", "tests_integration/soak.py", *session.posargs, env=job_python(session))


@nox.session(requires=["build", "job"])
def mutants(session: nox.Session) -> None:
    """Turn off one check after the other, and see that an attack succeeds again: `-- lease hash` for some of them."""
    install_for_tests(session)
    session.run("python", "tests_integration/attacks/mutate.py", *session.posargs, env=job_python(session))


# Checks that run nothing of ours


@nox.session(tags=["check"])
def lint(session: nox.Session) -> None:
    """Check style, formatting, and which package may import what; print how long functions are."""
    install_tools(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-logo", "--no-cache", env={"PYTHONPATH": search_path()})
    session.run("python", "tests_integration/repository/sizes.py")


@nox.session(tags=["check"])
def types(session: nox.Session) -> None:
    """Check the types of every source file, and that the checker has seen each of them."""
    install_tools(session, "types")
    verdict = session.run("mypy", *session.posargs, silent=True)
    session.log(str(verdict).strip())
    expected = sum(1 for source in SOURCES for _ in source.rglob("*.py"))
    if not session.posargs and f"in {expected} source files" not in str(verdict):
        session.error(f"mypy did not look at all {expected} source files")


@nox.session(tags=["check"])
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    install_tools(session, "docs")
    session.run("sphinx-build", "-W", "-n", "-q", "--keep-going", *session.posargs, "docs", "docs/_build/html")
    session.log("Look at docs/_build/html/index.html")


@nox.session(requires=["build"], tags=["artefacts"])
@each_package
def wheels(session: nox.Session, package: str) -> None:
    """Install one wheel, with what it declares and nothing else, and look at what came with it."""
    install(session, distribution(package))
    session.run("python", "-I", "tests_integration/repository/alone.py", distribution(package))


@nox.session(requires=["build"], tags=["artefacts"])
def image(session: nox.Session) -> None:
    """Build the runner's image without a network, run it, and look what is in it."""
    needs_engine(session)
    session.install("pip")
    options = ("--python", IMAGE_PYTHON, "--architecture", IMAGE_ARCHITECTURE, "--tag", IMAGE)
    context = ("--context", str(ROOT / "build" / "image"))
    session.run("python", "docker/runner/build.py", *options, *context, *in_image())
    install_tools(session, "sbom")
    built = ROOT / "build"
    bill = (IMAGE, str(built / "installed.json"), str(built / "image.cdx.json"))
    session.run("python", ".ci/sbom.py", "installed", *bill)


@nox.session(requires=["build"], tags=["artefacts"])
def sbom(session: nox.Session) -> None:
    """Write bills of materials: of each wheel, beside it, and of what goes into the image with this Python."""
    install_tools(session, "sbom")
    session.run("python", ".ci/sbom.py", "wheels", *map(str, map(wheel, PACKAGES)))
    context = ROOT / "build" / "context"
    session.run("python", "docker/runner/wheelhouse.py", "--gather", str(context), *in_image())
    session.run("python", ".ci/sbom.py", "context", str(context), str(context.with_suffix(".cdx.json")))


@nox.session
def bases(session: nox.Session) -> None:
    """Write down the digests that the base images have in their registry now."""
    needs_engine(session)
    session.install("pip")
    session.run("python", "docker/runner/build.py", "--refresh")


@nox.session(requires=["build"])
def lock(session: nox.Session) -> None:
    """Choose anew what goes into the runner's image beside our own wheels, and write it down with its hashes."""
    session.install("pip")  # which the script runs; environments made by uv have none
    session.run("python", "docker/runner/wheelhouse.py", *in_image())


@nox.session
def locks(session: nox.Session) -> None:
    """Update the tools that checks and builds use, locked by version and hash: `-- lint` for one group of them."""
    session.install("uv")
    options = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
    for name in session.posargs or tools():
        wanted, lock = Path(session.create_tmp()) / f"{name}.in", LOCKS / f"{name}.txt"
        wanted.write_text("\n".join(sorted(tools()[name])) + "\n")
        lock.unlink(missing_ok=True)  # otherwise its versions are kept
        session.run("uv", "pip", "compile", *options, "--no-emit-index-url", str(wanted), f"--output-file={lock}")


# What is measured


@nox.session(requires=["build", "job"])
def bench(session: nox.Session) -> None:
    """Compare with the adapter that Scaler ships: `-- quick`, `-- --publish`; or with a commit: `-- --against REV`."""
    install(session, *everything(), *group("scaler"), *group("bench"))
    session.run("python", "tests_integration/benchmark.py", *session.posargs, env=job_python(session))


@nox.session(requires=["build"])
def simulate(session: nox.Session) -> None:
    """Simulate the task manager against a model of AWS: `-- --tasks 1000000 --slots 10000`, or `-- --publish`."""
    install(session, *everything(), *group("bench"))
    session.run("python", "tests_integration/simulate.py", *session.posargs)


# Names and installing


def distribution(package: str) -> str:
    """Name of the distribution that lies in a folder of `packages/`."""
    return str(PACKAGES[package]["project"]["name"])


def wheel(package: str) -> Path:
    """The one wheel that `build` made of a package."""
    (path,) = WHEELS.glob(f"{distribution(package).replace('-', '_')}-*.whl")
    return path


def with_extras(package: str) -> str:
    """The distribution of a package, with all its extras."""
    extras = ",".join(PACKAGES[package]["project"].get("optional-dependencies", {}))
    return f"{distribution(package)}[{extras}]" if extras else distribution(package)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` writes it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def everything() -> list[str]:
    """Every distribution, with all its extras."""
    return [with_extras(name) for name in PACKAGES]


def third_party() -> list[str]:
    """What the packages declare, extras included, less one another."""
    projects = [project["project"] for project in PACKAGES.values()]
    declared = {need for project in projects for need in project["dependencies"]}
    for project in projects:
        declared.update(*project.get("optional-dependencies", {}).values())
    return sorted(need for need in declared if not need.startswith(tuple(map(distribution, PACKAGES))))


def group(name: str) -> tuple[str, ...]:
    """Requirements of a dependency group of the root."""
    return dependency_groups(load_toml(ROOT / "pyproject.toml"), name)


def own_group(package: str, name: str) -> tuple[str, ...]:
    """Requirements of a dependency group of the package itself, where it has one."""
    return dependency_groups(PACKAGES[package], name) if name in PACKAGES[package].get("dependency-groups", {}) else ()


def tools() -> dict[str, set[str]]:
    """What checks and builds are done with, by the name of its lock in `.ci/locks`."""
    builds = {need for project in PACKAGES.values() for need in project["build-system"]["requires"]}
    return {
        "build": {"build", *builds},
        "docs": set(group("docs")),
        "lint": set(group("lint")),
        "nox": {"nox[uv]>=2026.4"},
        "sbom": {"pip", *group("sbom")},
        "types": {*group("types"), *third_party()},
    }


def install_tools(session: nox.Session, name: str) -> None:
    """Install what is locked under this name, by version and hash, from whatever index is set up."""
    session.install("--require-hashes", "--requirement", str(LOCKS / f"{name}.txt"))


def search_path() -> str:
    """The sources of all packages, for tools that read them without their being installed."""
    return ":".join(map(str, SOURCES))


def install(session: nox.Session, *requirements: str) -> None:
    """Install with our own distributions taken from the wheels just built.

    Byte code is left to be written at first use: a test touches a small part of what it installs.
    """
    session.install("--constraint", str(CONSTRAINTS), *requirements, env={"PIP_NO_COMPILE": "1"})


def job_python(session: nox.Session) -> dict[str, str]:
    """Tell the tests which interpreter jobs run with: that of the environment that `job` has made."""
    return {"SCALER_BATCH_JOB_PYTHON": str(Path(session.virtualenv.location).with_name("job") / "bin" / "python")}


def in_image() -> list[str]:
    """The wheels of ours that the runner's image holds."""
    return [str(wheel(name)) for name in ("payload", "runner")]


def needs_engine(session: nox.Session) -> None:
    """Skip the session where no Docker engine answers, and say so."""
    if shutil.which("docker") is None or subprocess.run(["docker", "version"], capture_output=True).returncode:
        session.skip("no Docker engine answers here")


def report(name: str) -> Path:
    """Where a pytest run leaves its results for `.ci/totals.py`."""
    return REPORTS / f"{name}.xml"


def install_for_tests(session: nox.Session) -> None:
    """Install what all tests need together."""
    own = [need for name in PACKAGES for need in own_group(name, "test")]
    install(session, *everything(), *group("test"), *group("scaler"), *group("sbom"), *own)


def test_all(session: nox.Session, marks: str, names: tuple[str, str]) -> None:
    """Run the tests of all packages, then those of `tests_integration`, and add up both even if the first have failed.

    Args:
        session: Where.
        marks: Which tests, by their marks.
        names: Of the two reports.
    """
    install_for_tests(session)
    units, integration = names
    any_code = range(256)  # the totals fail where a report tells of a failure, or is missing
    run_pytest(session, "packages", *options_of_tests(marks, by="test"), name=units, success_codes=any_code)
    options = options_of_tests(marks, by="module")
    env = job_python(session)
    run_pytest(session, "tests_integration", *options, name=integration, env=env, success_codes=any_code)
    session.run(sys.executable, ".ci/totals.py", *map(str, map(report, names)), external=True)


def run_pytest(session: nox.Session, *arguments: str, name: str, **how: Any) -> None:
    """Run the tests that the arguments of pytest choose, and leave a report."""
    report(name).unlink(missing_ok=True)
    session.run("pytest", *arguments, f"--junit-xml={report(name)}", *session.posargs, **how)


def options_of_tests(marks: str, by: Literal["test", "module"]) -> tuple[str, ...]:
    """Options that make pytest run tests with certain marks, in several processes.

    Args:
        marks: Which tests.
        by: Whether any process takes any test, or each takes whole modules, for the sake of what their tests share.
            Those that share a running system wait more than they compute, so there are more processes of them.
    """
    processes, order = (CPUS + 1, "worksteal") if by == "test" else (CPUS * PER_CPU, "loadscope")
    return "-m", marks, f"--numprocesses={processes}", f"--dist={order}"
