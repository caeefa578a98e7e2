"""Energy is what counters say, and nothing where there is none."""

import pytest

from stablerep.generation.accounts.energy import gpu_energy_j, processor_counters_j, processor_energy_j


@pytest.fixture
def powercap(tmp_path):
    """Two packages, a part of the first, and one that only root may read."""
    for name, now in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 1_000_000), ("intel-rapl:0:0", 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{now}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000\n")
    (tmp_path / "intel-rapl:2").mkdir()
    return tmp_path


def test_whole_packages_that_can_be_read_are_counted(powercap):
    assert processor_counters_j(powercap) == {"intel-rapl:0": (5.0, 10.0), "intel-rapl:1": (1.0, 10.0)}


def test_packages_add_up_and_a_counter_that_ran_over_is_put_right():
    before = {"a": (5.0, 10.0), "b": (9.0, 10.0)}
    after = {"a": (7.5, 10.0), "b": (1.0, 10.0)}
    assert processor_energy_j(before, after) == pytest.approx(2.5 + 2.0)


def test_no_counter_is_no_figure(tmp_path):
    assert processor_counters_j(tmp_path) == {}
    assert processor_energy_j({}, {}) is None


def test_without_a_gpu_there_is_no_figure(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu_energy_j() is None


def test_a_gpu_is_asked_by_its_own_name_and_answers_in_millijoules(monkeypatch):
    import pynvml

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.current_device", lambda: 1)
    monkeypatch.setattr(
        "torch.cuda.get_device_properties", lambda index: type("P", (), {"uuid": f"u{index}"})
    )
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: uuid)
    energy = {"GPU-u1": 2500}
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", energy.__getitem__)
    assert gpu_energy_j() == 2.5

    def refuse(device):
        raise pynvml.NVMLError_NotSupported

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    assert gpu_energy_j() is None
