from pathlib import Path

import pytest

from tests.unit.doctor.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)
