"""Tiny Wan checkpoints where the catalog's would be."""

from pathlib import Path
from types import MappingProxyType

import pytest

from pipeline.plan import catalog


@pytest.fixture(scope="session")
def tiny_wan_assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like `assets/` with a tiny checkpoint of each kind."""
    from tests.tiny_wan import TINY, make_tiny_wan  # torch is imported for those who need it

    assets = tmp_path_factory.mktemp("wan-assets")
    for spec in TINY:
        make_tiny_wan(assets / spec.key, spec)
    return assets


@pytest.fixture
def tiny_wan(tiny_wan_assets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever asks for a Wan model in this process gets a tiny one; the folder of all."""
    from pipeline.gpu import loading
    from tests.tiny_wan import TINY

    monkeypatch.setattr(loading, "ASSETS", tiny_wan_assets)
    tiny = {spec.key: spec for spec in TINY}
    monkeypatch.setattr(catalog, "CATALOG", MappingProxyType(dict(catalog.CATALOG) | tiny))
    return tiny_wan_assets
