"""What the Makefile's targets leave and take."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_clean_spares_captions_the_generator_and_its_checkpoints(tmp_path: Path) -> None:
    kept = [
        "data/01_raw/captions.csv",
        "data/02_intermediate/.gitkeep",
        "data/02_intermediate/pretraining/denoiser.safetensors",
        "data/06_models/generator/model_index.json",
        "mlflow/mlflow.db",
    ]
    made = ["data/02_intermediate/training/a.safetensors", "data/06_models/encoders/a/x", "data/03_primary/x"]
    for name in [*kept, *made, "pipelines/x", "src/x", "tests/x"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for name in ("Makefile", "mlflow/server.env"):
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [name for name in kept if not (tmp_path / name).is_file()] == []
    assert [name for name in made if (tmp_path / name).exists()] == []
