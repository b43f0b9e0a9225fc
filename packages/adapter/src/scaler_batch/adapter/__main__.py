"""``python -m scaler_batch.adapter`` is ``scaler-batch-worker``."""

import sys

from scaler_batch.adapter.cli import main

sys.exit(main())
