"""Whether the account may have as many vCPUs as the compute environments may grow to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scaler_batch.provision.finding import Finding, ok, problem, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "quotas"
_CODES: Final[Mapping[str, str]] = {"EC2": "L-1216C47A", "SPOT": "L-34B43A08"}
"""vCPUs of running on-demand, and of requested Spot, instances of the standard families (A, C, D, H, I, M, R, T, Z)."""

_STANDARD: Final = tuple("acdhimrtz")


def check(found: Found, scene: Scene) -> list[Finding]:
    """Ask for the quota of each kind of capacity in use."""
    findings = []
    for kind in sorted({compute["type"] for compute in found.compute} & _CODES.keys()):
        resources = [compute for compute in found.compute if compute["type"] == kind]
        types = {one for compute in resources for one in compute.get("instanceTypes", ())}
        most = sum(compute["maxvCpus"] for compute in resources)
        if not standard(types):
            findings.append(
                skipped(SUBJECT, f"{', '.join(sorted(types))} have quotas of their own; see Service Quotas")
            )
        else:
            findings.append(judge(kind, most, found.required("VCPU"), _quota(scene, kind)))
    return findings or [skipped(SUBJECT, "there is no compute environment of EC2 instances")]


def standard(types: set[str]) -> bool:
    """Whether all of these types count against the standard quota."""
    return all(one in ("optimal", "default_x86_64") or _is_standard(one) for one in types)


def judge(kind: str, most: int, job_vcpus: float, quota: float) -> Finding:
    """Compare what may be with what is allowed."""
    words = {"EC2": "on-demand", "SPOT": "Spot"}[kind]
    fix = f"ask for more in Service Quotas, under EC2, {_CODES[kind]}"
    if quota < job_vcpus:
        return problem(SUBJECT, f"the account may have {quota:g} {words} vCPUs, and a job takes {job_vcpus:g}", fix)
    if quota < most:
        message = f"the account may have {quota:g} {words} vCPUs, and the environment would grow to {most}"
        return warning(SUBJECT, message, fix)
    return ok(SUBJECT, f"{quota:g} {words} vCPUs are allowed, {most} wanted at most")


def _is_standard(name: str) -> bool:
    """Families are letters, then a generation: ``trn1``, ``inf2`` and ``mac1`` are no standard ones."""
    letters = name[: next((at for at, one in enumerate(name) if one.isdigit()), len(name))]
    return letters in _STANDARD or letters in ("im", "is")


def _quota(scene: Scene, kind: str) -> float:
    answer = scene.clients.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=_CODES[kind])
    return float(answer["Quota"]["Value"])
