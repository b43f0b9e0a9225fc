"""What is committed stands on its own: it names no machine, and what the documents promise exists."""

from __future__ import annotations

import ast
import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ABSOLUTE = r"(?<![\w.~*}>/-])"
"""What may not stand before a slash that begins an absolute path: then it goes on a relative one, or a URL."""

HOMES = re.compile(ABSOLUTE + r"/(?:home|root|Users|tmp)/[\w.-]+")
URLS = re.compile(r"\b[a-z][a-z0-9+.-]*://([^\s/\"'`<>()\[\]{}|\\,]+)")
ADDRESSES = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w.-]|/\d)")

PUBLIC_SITES = {
    "capnproto.org",
    "creativecommons.org",
    "docs.aws.amazon.com",
    "docs.python.org",
    "example.com",
    "github.com",
    "hypothesis.readthedocs.io",
    "peps.python.org",
    "semver.org",
    "www.apache.org",
    "www.opengris.org",
    "www.w3.org",
}
"""Places that a reader may be sent to. Nothing here is fetched by any code."""

NOT_HOSTS = {"s3", "file"}
"""Schemes whose first part is no host name."""


def test_no_file_names_a_folder_of_someones_machine(texts: dict[str, str], root: Path) -> None:
    here = {f"{place}/" for place in (root, root.parent, root.resolve().parent, Path.home())} - {"//"}
    places = [HOMES, *(re.compile(ABSOLUTE + re.escape(place)) for place in here)]
    found = {
        f"{name}: {place}" for name, text in texts.items() for pattern in places for place in pattern.findall(text)
    }

    assert found == set()


def test_no_file_names_a_host_but_this_machine_and_public_sites(texts: dict[str, str]) -> None:
    found = {
        f"{name}: {match.group()}"
        for name, text in texts.items()
        for match in URLS.finditer(text)
        if not (match.group().split(":")[0] in NOT_HOSTS or is_known(match.group(1)))
    }

    assert found == set()


def test_no_file_names_the_address_of_another_machine(texts: dict[str, str]) -> None:
    found = {
        f"{name}: {text}"
        for name, content in texts.items()
        for text in ADDRESSES.findall(content)
        if not is_harmless(text)
    }

    assert found == set()


def test_no_file_uses_words_that_belong_to_the_makers_workplace(texts: dict[str, str]) -> None:
    numbered = re.compile(r"\bissue #?\d+\b", re.IGNORECASE)

    assert {f"{name}: {match}" for name, text in texts.items() for match in numbered.findall(text)} == set()


@pytest.mark.parametrize("text", [f"cd /home/{'me'}", f'"/{"tmp"}/x"', f"path=/{'root'}/x", f"see /Users/{'me'}/x"])
def test_folders_of_a_machine_are_found(text: str) -> None:
    assert HOMES.search(text)


@pytest.mark.parametrize("text", ["src/home/page.md", "ipc:///tmp/x", "~/tmp/x", "{root}/tmp/x", "/opt/runner", "/tmp"])
def test_other_paths_are_let_pass(text: str) -> None:
    assert not HOMES.search(text)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:2345", "localhost", "0.0.0.0:2345", "HOST:PORT", "batch.us-east-1.amazonaws.com"]
)
def test_this_machine_and_aws_are_known(host: str) -> None:
    assert is_known(host)


@pytest.mark.parametrize(
    "host", [f"10.0.0.{7}:8080", "build.corp.internal", "example.company.net", "amazonaws.com.evil.io"]
)
def test_other_machines_are_not_known(host: str) -> None:
    assert not is_known(host)


def test_the_sessions_that_documents_speak_of_exist(texts: dict[str, str]) -> None:
    sessions = nox_sessions(texts["noxfile.py"])
    named = {
        (name, word)
        for name, text in texts.items()
        if name.endswith(".md")
        for words in re.findall(r"\bnox (?:-[rRx] )?-s((?: [a-z_]+)+)", text)
        for word in words.split()
    }

    assert {pair for pair in named if pair[1] not in sessions} == set()
    assert {("README.md", "demo"), ("README.md", "tests")} <= named


def test_local_links_in_documents_lead_somewhere(texts: dict[str, str], root: Path) -> None:
    dead = {
        f"{name}: {target}"
        for name, text in texts.items()
        if name.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if "://" not in target and not (root / name).parent.joinpath(target).exists()
    }

    assert dead == set()


def is_known(authority: str) -> bool:
    """Tell whether a URL's host is this machine, AWS, a placeholder, or a public site of the list."""
    host = urlsplit(f"//{authority.rstrip('.;:*')}").hostname or ""
    if ADDRESSES.fullmatch(host):
        return is_harmless(host)
    return (
        "." not in host  # a placeholder, or this machine
        or host.endswith((".amazonaws.com", ".example", ".invalid", ".test", ".localhost"))
        or host in PUBLIC_SITES
        or "$" in host
    )


def is_harmless(text: str) -> bool:
    """Tell whether four numbers with dots are an address of this machine or link, or none at all."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified or address.is_link_local  # where instances find metadata


def nox_sessions(source: str) -> set[str]:
    """Names of the functions that the noxfile makes sessions."""
    return {
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
        and any("nox.session" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
