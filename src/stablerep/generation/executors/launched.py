"""What `accelerate launch` starts, once a rank: `-m stablerep.generation.executors.launched JOB_FOLDER`."""

import sys
from pathlib import Path

import torch
from accelerate import PartialState

from stablerep.generation.executors.accelerate_launch import work_off


def main(folder: Path) -> None:
    """Takes rank, number of ranks and device from Accelerate and works off this rank's shards."""
    on_cpu = not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu)
    device = None if on_cpu else state.device.index
    work_off(folder, state.process_index, state.num_processes, device)
    state.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
