"""The image, built once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.engine import Docker, Engine, requirePrograms


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Docker, which has built the image."""
    requirePrograms("docker", "dockerd")
    engine = Docker(tmp_path_factory.mktemp("docker"))
    with engine.running():
        engine.build("echoproto")
        yield engine
