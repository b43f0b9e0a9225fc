"""``python -m scaler_batch.provision``."""

from __future__ import annotations

import sys

from scaler_batch.provision.cli import main

sys.exit(main())
