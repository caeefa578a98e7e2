"""All of the command `stablerep`.

`src/stablerep_command.py` finds the project and calls this; `python -m pipelines.commands.stablerep` does as
well.
"""

from pipelines.commands.attribution import attribution as stablerep
from pipelines.commands.compare import compare
from pipelines.commands.encoders import export_encoder

stablerep.add_command(compare)
stablerep.add_command(export_encoder)

if __name__ == "__main__":
    stablerep(prog_name="python -m pipelines.commands.stablerep")
