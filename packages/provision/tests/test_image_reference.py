"""References of images: what Docker takes is taken, and what it refuses is refused before anything is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import Settings, SettingsError
from scaler_batch.provision.image_reference import ImageReference

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("python", ("", "python", "", "")),
        ("library/python:3.12-slim", ("", "library/python", "3.12-slim", "")),
        ("localhost/x", ("localhost", "x", "", "")),
        ("localhost:5000/x:1", ("localhost:5000", "x", "1", "")),
        ("registry:5000/x", ("registry:5000", "x", "", "")),
        ("[::1]:5000/x", ("[::1]:5000", "x", "", "")),
        ("Registry.Example.com/a/b", ("Registry.Example.com", "a/b", "", "")),
        ("public.ecr.aws/docker/library/python:3", ("public.ecr.aws", "docker/library/python", "3", "")),
        (f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a__b/c--d_e.f:{'t' * 128}@{DIGEST}",
         ("123456789012.dkr.ecr.us-east-1.amazonaws.com", "a__b/c--d_e.f", "t" * 128, DIGEST)),
    ],
)  # fmt: skip
def test_what_docker_takes_is_taken_apart(text: str, parts: tuple[str, str, str, str]) -> None:
    found = ImageReference.parse(text)
    assert found
    assert (found.host, found.path, found.tag, found.digest) == parts
    Settings(image=text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("docker://python:3.12", "begins with a scheme"),
        ("https://registry.test/x", "begins with a scheme"),
        ("registry.test/Python:3.12", "upper-case"),
        ("Python", "upper-case"),
        ("Mine/python", "Docker takes"),
        ("python:3.12:slim", "more than one tag"),
        ("registry.test/a:1:2", "more than one tag"),
        ("python:", "Docker takes"),
        ("python:-x", "Docker takes"),
        (f"python:{'t' * 129}", "Docker takes"),
        ("python@sha256:short", "Docker takes"),
        (f"python@{DIGEST}:tag", "Docker takes"),
        ("a..b", "Docker takes"),
        ("a___b", "Docker takes"),
        ("-a", "Docker takes"),
        ("a/", "Docker takes"),
        ("/a", "Docker takes"),
        ("a//b", "Docker takes"),
        ("two words", "Docker takes"),
        ("a\n", "Docker takes"),
        (f"registry.test/{'a' * 250}", "Docker takes"),
    ],
)
def test_what_docker_refuses_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match="is not the URI of a container image") as error:
        Settings(image=text)
    assert words in str(error.value)
    assert "--image" in error.value.fix


hosts = st.sampled_from(["docker.io/", "localhost/", "registry.test/", "registry.test:5000/"])
parts = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", fullmatch=True).filter(lambda part: len(part) < 60)
tags = st.sampled_from(["", ":1", ":latest", ":_.-"])


@given(hosts, st.lists(parts, min_size=1, max_size=3), tags, st.sampled_from(["", f"@{DIGEST}"]))
def test_whatever_the_grammar_makes_is_read_back(host: str, path: list[str], tag: str, digest: str) -> None:
    found = ImageReference.parse(f"{host}{'/'.join(path)}{tag}{digest}")
    assert found
    assert (f"{found.host}/", found.path) == (host, "/".join(path))
    assert (found.tag, found.digest) == (tag[1:], digest[1:])


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    found = ImageReference.parse(text)
    assert found is None or not any(character.isspace() for character in text)
