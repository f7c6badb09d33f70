"""Run ``python -m flopbook``, which is the command ``flopbook``."""

import sys

from flopbook.command import main

sys.exit(main())
