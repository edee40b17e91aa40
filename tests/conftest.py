"""Every function of sfumato is checked against its annotations, shapes included, while the tests run."""

import sys
from pathlib import Path

from hypothesis import settings
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent / "support"))
install_import_hook("sfumato", "typecheck.check")
# Timing is never a test: the machine may be busy.
settings.register_profile("sfumato", deadline=None)
settings.load_profile("sfumato")

pytest_plugins = ["browser"]
