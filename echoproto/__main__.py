"""``python -m echoproto``: the ``echoproto`` command."""

from echoproto.cli.main import main

if __name__ == "__main__":
    main()
