"""``python -m echoproto``: the ``echoproto`` command."""

from echoproto.cli.entry import start

if __name__ == "__main__":
    start()
