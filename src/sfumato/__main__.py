"""`python -m sfumato` is `sfumato`."""

from sfumato.app.cli import main

main()
