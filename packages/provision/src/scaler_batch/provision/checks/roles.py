"""Whether the roles may do what is done in their names: by the runner, at the start of a container, on an instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.finding import Finding, Verdict, ok, problem, skipped, warning
from scaler_batch.provision.permissions import Request, allowed, trusts
from scaler_batch.provision.policies import INPUTS, LEASES, OUTCOMES, ec2_service, parse
from scaler_batch.provision.resources.role import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_batch.provision.checks.scene import Found, Scene
    from scaler_batch.provision.policies import Document

JOB: Final = "job role"
EXECUTION: Final = "execution role"
INSTANCE: Final = "instance role"
ECS_TASKS: Final = "ecs-tasks.amazonaws.com"

_PULL: Final = (
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchGetImage",
)
_AGENT: Final = ("ecs:RegisterContainerInstance", "ecs:Poll", "ecs:SubmitTaskStateChange")


@dataclass(frozen=True, slots=True)
class Role:
    """What IAM says of a role.

    Attributes:
        trust: Who may assume it.
        documents: All its policies, its own and the attached ones.
        boundary: The policy beyond which it may do nothing; ``None`` where there is none.
    """

    name: str
    trust: Document
    documents: tuple[Document, ...]
    boundary: Document | None = None

    def may(self, request: Request) -> bool:
        """Whether it may make a call."""
        bounded = self.boundary is None or allowed([self.boundary], request)
        return bounded and allowed(self.documents, request)


def check(found: Found, scene: Scene) -> list[Finding]:
    """Look at the roles of the job definition and of the compute environments."""
    if found.definition is None:
        return [skipped(JOB, "there is no job definition to name one")]
    return [_job(found, scene), _execution(found, scene), *_instances(found, scene)]


def judge(subject: str, role: Role | None, service: str, requests: Sequence[Request], account: str = "") -> Finding:
    """Say whether a role is trusted to the service that needs it, and may make these calls.

    Args:
        subject: Whose role it is.
        role: What IAM says of it; ``None`` where it is not there.
        service: What assumes it.
        requests: The calls.
        account: For which the service assumes it, where it tells IAM.
    """
    if role is None:
        return problem(subject, "it does not exist", "run scaler-batch-provision provision, or name one that does")
    if not trusts(role.trust, service, account):
        return problem(subject, f"{role.name} does not let {service} assume it", "mend its trust policy")
    refused = [request for request in requests if not role.may(request)]
    if refused:
        message = f"{role.name} may not: {', '.join(map(str, refused))}"
        within = " and in its permissions boundary" if role.boundary is not None else ""
        return problem(subject, message, f"allow it that{within}, or run scaler-batch-provision provision")
    return ok(subject, f"{role.name} may do what it has to")


def needs_of_jobs(scene: Scene) -> list[Request]:
    """What the runner does."""
    run = f"{scene.task_prefix}/run"
    read = [Request("s3:GetObject", f"{scene.bucket_arn}/{run}/{folder}/0") for folder in (*INPUTS, OUTCOMES)]
    return [
        *read,
        Request("s3:PutObject", f"{scene.bucket_arn}/{run}/{OUTCOMES}/0"),
        Request("s3:ListBucket", scene.bucket_arn, {"s3:prefix": f"{run}/{OUTCOMES}/0/"}),
    ]


def harm_of_jobs(scene: Scene) -> list[Request]:
    """What no task is to do, and the runner does not either."""
    run, leases = f"{scene.task_prefix}/run", f"{scene.task_prefix}/{LEASES}/worker/run"
    return [
        *(Request("s3:PutObject", f"{scene.bucket_arn}/{run}/{folder}/0") for folder in INPUTS),
        Request("s3:DeleteObject", f"{scene.bucket_arn}/{run}/{OUTCOMES}/0"),
        *(Request(action, f"{scene.bucket_arn}/{leases}") for action in ("s3:GetObject", "s3:PutObject")),
        Request("s3:ListBucket", scene.bucket_arn, {"s3:prefix": f"{scene.task_prefix}/{LEASES}/worker/"}),
    ]


def needs_of_starts(found: Found, scene: Scene) -> list[Request]:
    """What ECS does before the container runs."""
    requests = [Request(action, "*") for action in _PULL] if ".dkr.ecr." in found.container.get("image", "") else []
    log = found.container.get("logConfiguration", {})
    if log.get("logDriver", "awslogs") == "awslogs":
        group = log.get("options", {}).get("awslogs-group", "/aws/batch/job")
        region, account = scene.names.region, scene.account
        arn = f"arn:{account.partition}:logs:{region}:{account.number}:log-group:{group}:log-stream:x"
        requests += [Request("logs:CreateLogStream", arn), Request("logs:PutLogEvents", arn)]
    sources = [one["valueFrom"] for one in found.container.get("secrets", [])]
    return requests + [Request("ssm:GetParameters", one) for one in sources if ":ssm:" in one]


def _job(found: Found, scene: Scene) -> Finding:
    arn = found.container.get("jobRoleArn")
    if not arn:
        fix = "name one in the job definition; without it jobs act in the name of their instance"
        return problem(JOB, "the job definition names none", fix)
    role = _role(scene, arn)
    finding = judge(JOB, role, ECS_TASKS, needs_of_jobs(scene), scene.account.number)
    if role is not None and finding.verdict is Verdict.OK:
        return _unless_harmful(role, harm_of_jobs(scene)) or finding
    return finding


def _unless_harmful(role: Role, requests: Sequence[Request]) -> Finding | None:
    """Every task may do whatever its job may: to other clients' tasks, and to other workers' jobs."""
    if not (granted := [request for request in requests if role.may(request)]):
        return None
    message = f"{role.name} lets any task do more than the runner needs: {', '.join(map(str, granted))}"
    return warning(JOB, message, "take that from it, or run scaler-batch-provision provision")


def _execution(found: Found, scene: Scene) -> Finding:
    arn = found.container.get("executionRoleArn")
    if not arn and found.container.get("secrets"):
        fix = "name one in the job definition that may read them: ECS reads secrets in no other role"
        return problem(EXECUTION, "the job definition has secrets and names no execution role", fix)
    if not arn:
        return ok(EXECUTION, "none is named: containers start in the name of their instance")
    return judge(EXECUTION, _role(scene, arn), ECS_TASKS, needs_of_starts(found, scene), scene.account.number)


def _instances(found: Found, scene: Scene) -> list[Finding]:
    profiles = {one["instanceRole"] for one in found.compute if one.get("instanceRole")}
    return [_instance(profile, scene) for profile in sorted(profiles)]


def _instance(profile: str, scene: Scene) -> Finding:
    name = profile.rpartition("/")[2]
    answer = unless_missing(lambda: scene.clients.iam.get_instance_profile(InstanceProfileName=name), MISSING)
    roles = answer["InstanceProfile"]["Roles"] if answer else []
    if not roles:
        fix = "run scaler-batch-provision provision"
        return problem(INSTANCE, f"there is no instance profile {name}, or no role in it", fix)
    requests = [Request(action, "*") for action in _AGENT]
    return judge(INSTANCE, _role(scene, roles[0]["Arn"]), ec2_service(scene.account.partition), requests)


def _role(scene: Scene, arn: str) -> Role | None:
    name = arn.rpartition("/")[2]
    found = unless_missing(lambda: scene.clients.iam.get_role(RoleName=name), MISSING)
    if found is None:
        return None
    trust = parse(found["Role"]["AssumeRolePolicyDocument"])
    bound = found["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    boundary = _managed(scene, bound) if bound else None
    return Role(name, trust, (*_own(scene, name), *_attached(scene, name)), boundary)


def _own(scene: Scene, role: str) -> list[Document]:
    iam = scene.clients.iam
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return [parse(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]) for name in names]


def _attached(scene: Scene, role: str) -> list[Document]:
    iam = scene.clients.iam
    arns = [one["PolicyArn"] for one in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    return [_managed(scene, arn) for arn in arns]


def _managed(scene: Scene, arn: str) -> Document:
    iam = scene.clients.iam
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return parse(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
