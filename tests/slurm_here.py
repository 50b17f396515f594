"""A SLURM in a folder: `sbatch`, `srun`, `scontrol`, `sacct` and `sinfo` that run jobs as processes of this machine.

They do what submitit relies on and no more: an array's tasks run at once, `scontrol requeue` runs a task again, and a partition
that does not exist is refused in the words of SLURM.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

_SBATCH = """
import os, re, subprocess, sys
from pathlib import Path
state = Path(__file__).parent / "state"
text = Path(sys.argv[1]).read_text()
asked = dict(re.findall(r"^#SBATCH --([\\w-]+)=(\\S+)$", text, re.MULTILINE))
if asked.get("partition", "gpu").strip("'") == "full":
    sys.exit("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy")
job = str(1000 + len(list(state.glob("*.asked"))))
(state / f"{job}.asked").write_text(text)
array = asked.get("array", "").strip("'").partition("%")[0]
tasks = range(int(array.split("-")[1]) + 1) if array else [None]
for task in tasks:
    names = {"SLURM_JOB_ID": job if task is None else str(int(job) * 100 + task)}
    names |= {} if task is None else {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": str(task)}
    run = Path(__file__).parent / "run_one"
    full = job if task is None else f"{job}_{task}"
    subprocess.Popen([sys.executable, str(run), full, sys.argv[1]], env={**os.environ, **names}, start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(f"Submitted batch job {job}")
"""
_RUN_ONE = """
import subprocess, sys
from pathlib import Path
state, name = Path(__file__).parent / "state", sys.argv[1]
while True:
    (state / f"{name}.state").write_text("RUNNING")
    code = subprocess.run(["bash", sys.argv[2]]).returncode
    again = state / f"{name}.requeue"
    if not again.exists():
        break
    again.unlink()
(state / f"{name}.state").write_text("COMPLETED" if code == 0 else "FAILED")
"""
_SRUN = """
import os, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    option = words.pop(0)
    if option in ("--output", "--error"):
        path = words.pop(0).replace("%t", "0")
        for key, name in (("%A", "SLURM_ARRAY_JOB_ID"), ("%a", "SLURM_ARRAY_TASK_ID"), ("%j", "SLURM_JOB_ID")):
            path = path.replace(key, os.environ.get(name, ""))
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1 if option == "--output" else 2)
os.environ |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "1", "SLURM_NODEID": "0"}
os.execvp(words[0], words)
"""
_SCONTROL = """
import sys
from pathlib import Path
(Path(__file__).parent / "state" / f"{sys.argv[2]}.requeue").touch()
"""
_SACCT = """
from pathlib import Path
print("JobID|State|NodeList")
for path in sorted((Path(__file__).parent / "state").glob("*.state")):
    print(f"{path.stem}|{path.read_text()}|here")
"""
_SINFO = """
print("gpu")
print("full")
"""
_SCRIPTS = {
    "sbatch": _SBATCH, "run_one": _RUN_ONE, "srun": _SRUN, "scontrol": _SCONTROL, "sacct": _SACCT, "sinfo": _SINFO,
}  # fmt: skip


def install(folder: Path) -> Path:
    """Write the programs into a folder, which belongs at the head of PATH."""
    (folder / "state").mkdir(parents=True)
    for name, code in _SCRIPTS.items():
        (folder / name).write_text(f"#!{sys.executable}\n{code.lstrip()}")
        (folder / name).chmod((folder / name).stat().st_mode | stat.S_IXUSR)
    return folder


def asked(folder: Path) -> str:
    """What the last `sbatch` was given."""
    return max((folder / "state").glob("*.asked"), key=lambda path: path.stem).read_text()
