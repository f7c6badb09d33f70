"""Build the site: what it needs beyond Sphinx, one folder for each feature.

Of flopbook, flopsite imports the predicting side alone; a page's cells run in a kernel of their own.
"""

import sys

# jsonschema, which nbformat imports, would take a second for a grammar of addresses, and no notebook holds addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
