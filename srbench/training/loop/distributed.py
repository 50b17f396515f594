"""One training run in several processes: ``torchrun --nproc-per-node N -m srbench train …``, gloo on CPU, NCCL on GPU.

Every process holds the whole network and computes its slice of the global batch. Training for PSNR, where one forward is
followed by one backward, goes through torch's DistributedDataParallel, which averages gradients while backward goes on, and hands
the first process's batch-norm statistics to all. Adversarial training cannot: it runs the discriminator several times before
backward, with and without gradients, and differentiates it twice (gradient penalty). There the gradients themselves are averaged
after backward, in one exchange; for 2, 4, 8 … processes the bits are those of DistributedDataParallel. Batch norm sees
the slice of its process, unless the recipe says ``sync_norm``, and the first one's statistics are kept.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn

from srbench.errors import InputError
from srbench.inference import pick_device

T = TypeVar("T")

# The first process may build a cache of thousands of images, or validate, while the others wait.
_PATIENCE = timedelta(hours=6)


def is_main() -> bool:
    """Whether this process is the only one or the first of several: the one that writes and prints."""
    return int(os.environ.get("RANK", "0")) == 0


class Processes:
    """The processes of a run; without ``torchrun`` or ``accelerate launch`` there is one, and nothing is exchanged.

    Attributes:
        rank: number of this process, 0 for the one that writes files.
        world: how many there are.
        device: where this process computes; with CUDA, one GPU each.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; several processes take ``cuda`` for all GPUs.

    Raises:
        InputError: a device that is not there or that several processes cannot use.
    """

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.world = 0, int(os.environ.get("WORLD_SIZE", "1"))
        if self.world == 1:
            self.device = pick_device(device)
            return
        place = int(os.environ.get("LOCAL_RANK", "0"))
        if ":" in device:
            raise InputError(f"{self.world} processes cannot share the device {device!r}; expected auto, cpu or cuda")
        kind = pick_device(device).type
        self.device = pick_device(f"cuda:{place}") if kind == "cuda" else torch.device("cpu")
        from accelerate import PartialState

        threads = torch.get_num_threads()
        state = PartialState(cpu=kind == "cpu", timeout=_PATIENCE)
        torch.set_num_threads(threads)  # Accelerate sets its own number where OMP_NUM_THREADS is not set
        self.rank = state.process_index
        atexit.register(_leave)

    @property
    def main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter], values: Tensor) -> Tensor:
        """Replace gradients by their mean over all processes; to be called after ``backward``, by all of them.

        Args:
            parameters: whose ``grad`` is averaged; one without a gradient has none in any process.
            values: float32 ``(n,)`` without gradient, such as losses, which travel with the gradients.

        Returns:
            the mean of ``values`` over all processes, the same bits in each.
        """
        if self.world == 1:
            return values
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([values, *(gradient.reshape(-1).to(values.dtype) for gradient in gradients)])
        torch.distributed.all_reduce(flat)
        flat.div_(self.world)
        start = len(values)
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view(gradient.shape))
            start += gradient.numel()
        return flat[: len(values)]

    def average_values(self, parameters: Iterable[nn.Parameter], values: Tensor) -> Tensor:  # noqa: ARG002
        """:meth:`average` where the gradients are averaged already, by :meth:`synchronised`."""
        return self.average((), values)

    def synchronised(self, forward: nn.Module, example: Tensor) -> nn.Module:
        """``forward`` in torch's DistributedDataParallel: after a backward from it, its gradients are the mean over processes.

        Args:
            forward: a network, the same in each process.
            example: ``(N, C, h, w)``, an input by which weights are found that have no part in the output.
        """
        from torch.nn.parallel import DistributedDataParallel

        parameters = [parameter for parameter in forward.parameters() if parameter.requires_grad]
        forward.eval()  # so that batch norm's statistics stay
        forward(example).float().sum().backward()
        unused = any(parameter.grad is None for parameter in parameters)
        forward.zero_grad()
        return DistributedDataParallel(forward.train(), find_unused_parameters=unused)

    def any(self, flag: bool, looking: bool = True) -> bool:
        """Whether ``flag`` is set in some process, the same answer in each.

        On a GPU the answer costs waiting for its queue: there it is False in all steps but those with ``looking``.
        """
        if self.world == 1:
            return flag
        if self.device.type == "cuda" and not looking:
            return False
        asked = torch.tensor([float(flag)], device=self.device)
        torch.distributed.all_reduce(asked)
        return bool(asked.item() > 0)

    def agree(self, value: T) -> T:
        """The first process's ``value``, in every process; a small picklable object."""
        if self.world == 1:
            return value
        from accelerate.utils import broadcast_object_list

        kept: list[T] = broadcast_object_list([value])
        return kept[0]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The block runs in the first process before the others, which find in a cache what it left there."""
        if not self.main:
            self.wait()
        yield
        if self.main:
            self.wait()

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


def with_synchronised_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """``network`` with torch's SyncBatchNorm, whose statistics are those of the global batch; the keys stay.

    Raises:
        InputError: on a CPU, for which torch has none.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if norms and device.type == "cpu":
        raise InputError("sync_norm = true: torch synchronises batch norm on GPUs alone; on a CPU use one process")
    made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return made


def _leave() -> None:
    """Leave the group at the end of the program, which NCCL asks for; a second time does nothing."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
