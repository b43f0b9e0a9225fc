"""Worker and jobs reach the same S3 that boto3 reaches, and what cannot work is said at the start."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import forwarding
from scaler_batch.payload import RunLocation, Seal
from stack import JOB_PYTHON, answers, free_port
from systems import SECONDS, System, lives
from watching import wait_for


@contextlib.contextmanager
def proxy(hosts: list[str]) -> Iterator[str]:
    """An HTTPS proxy that connects to nobody, and keeps whom it was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        hosts.append(connection.recv(4096).decode().split()[1])
                        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("region", "variables", "host"),
    [
        ("cn-north-1", {}, "s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", {}, "s3.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", {}, "s3.us-iso-east-1.c2s.ic.gov"),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "s3-fips.us-east-1.amazonaws.com"),
        ("us-east-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "s3.dualstack.us-east-1.amazonaws.com"),
    ],
    ids=["China", "Europe", "isolated", "FIPS", "dual-stack"],
)
def test_a_job_asks_for_its_data_where_its_partition_has_s3(region: str, variables: dict[str, str], host: str) -> None:
    hosts: list[str] = []
    run = RunLocation("bucket", "runs", "run-1", region)
    command = [JOB_PYTHON or sys.executable, "-m", "scaler_batch.runner"]
    with proxy(hosts) as address:
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        environment = {**keys, **variables, "HTTPS_PROXY": address}
        options = ("--run", str(run), "--sequence", "1", "--pack", f"sha256:{'0' * 64}", "--key", Seal.new().reveal())
        with subprocess.Popen([*command, *options], env=environment, stderr=subprocess.DEVNULL) as job:
            with contextlib.suppress(AssertionError):
                wait_for(lambda: bool(hosts) or job.poll() is not None, SECONDS)
            job.kill()
    assert {name.partition(":")[0].removeprefix("bucket.") for name in hosts} == {host}


def test_a_bucket_in_another_region_than_the_queue_is_refused_with_both(system: System) -> None:
    s3 = system.stack.aws("s3")
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    said = system.refusal("--s3-bucket", "far-away")
    assert "eu-west-1" in said
    assert "us-east-1" in said
    assert "Traceback" not in said


def test_an_address_that_is_set_and_empty_counts_as_not_set(system: System) -> None:
    worker = system.start_worker("empty-address", environment={**system.stack.environment, "AWS_ENDPOINT_URL_S3": ""})
    assert system.client().submit(len, bytes(20_000)).result(SECONDS) == 20_000
    assert lives(worker)


@dataclass(frozen=True)
class Signed:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path) -> tuple[str, str]:
        """Write both to files, and return their paths."""
        public, private = folder / "certificate.pem", folder / "key.pem"
        public.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, *plain))
        return str(public), str(private)


def certificate(subject: str, issuer: Signed | None = None) -> Signed:
    """A certificate: of an authority, or of this machine by an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def folder(parent: Path, name: str) -> Path:
    """Make a folder."""
    (parent / name).mkdir()
    return parent / name


def test_an_authority_that_boto3_trusts_is_trusted_with_task_data(system: System, tmp_path: Path) -> None:
    authority = certificate("authority")
    trusted, _ = authority.write(folder(tmp_path, "authority"))
    machine = certificate("machine", authority).write(folder(tmp_path, "machine"))
    port, target = free_port(), system.endpoint.rpartition(":")[2]
    command = (sys.executable, forwarding.__file__, str(port), target, *machine)
    system.stack.start_program("TLS", *command).wait_until(lambda: answers(port))
    variables = {"AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{port}", "AWS_CA_BUNDLE": trusted}
    worker = system.start_worker("private-authority", environment={**system.stack.environment, **variables})
    assert system.client().submit(len, bytes(20_000)).result(SECONDS) == 20_000
    assert lives(worker)
