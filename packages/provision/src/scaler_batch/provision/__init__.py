"""Create and remove the AWS resources that scaler-batch runs on.

One description says what is wanted; it is compared with what is there; what differs is made or changed, step by step.
The command line is ``scaler-batch-provision``; the functions here do the same for programs.
"""

from __future__ import annotations

from scaler_batch.provision.adopting import adopt, plan_adoption
from scaler_batch.provision.apply import Audience, CleanupReport, Left
from scaler_batch.provision.cleaning import cleanup, plan_cleanup
from scaler_batch.provision.errors import (
    AwsError,
    BrokenError,
    ConflictError,
    CredentialsError,
    DeclinedError,
    EngineError,
    FileError,
    ProvisionError,
    SettingsError,
    UnreachableError,
    WaitError,
)
from scaler_batch.provision.handover import Handover, read_env, write_env
from scaler_batch.provision.plan import Action, Adoption, AdoptionPlan, Change, Plan, RemovalPlan, Step
from scaler_batch.provision.provisioning import build_image, plan_provision, provision, show
from scaler_batch.provision.results import AdoptionReport, BuildReport, Inventory, ProvisionedResources
from scaler_batch.provision.settings import Files, Settings, Target
from scaler_batch.provision.vocabulary import Identity, Kind, Observed, Phase, Wanted
from scaler_batch.provision.waiting import Patience

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Adoption",
    "AdoptionPlan",
    "AdoptionReport",
    "Audience",
    "AwsError",
    "BrokenError",
    "BuildReport",
    "Change",
    "CleanupReport",
    "ConflictError",
    "CredentialsError",
    "DeclinedError",
    "EngineError",
    "FileError",
    "Files",
    "Handover",
    "Identity",
    "Inventory",
    "Kind",
    "Left",
    "Observed",
    "Patience",
    "Phase",
    "Plan",
    "ProvisionError",
    "ProvisionedResources",
    "RemovalPlan",
    "Settings",
    "SettingsError",
    "Step",
    "Target",
    "UnreachableError",
    "WaitError",
    "Wanted",
    "__version__",
    "adopt",
    "build_image",
    "cleanup",
    "plan_adoption",
    "plan_cleanup",
    "plan_provision",
    "provision",
    "read_env",
    "show",
    "write_env",
]
