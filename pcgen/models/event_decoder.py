"""What draws events and knows how likely they are."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pcgen.models.representations import Event


class EventDecoder(Protocol):
    """A distribution p(event | code, condition), as the decoder of a VAE or a flow's support."""

    def losses(self, code: Tensor, condition: Tensor, event: Event) -> dict[str, Tensor]:
        """Terms of -log p(event | code, condition), each [B]."""
        ...

    def sample(
        self,
        code: Tensor,
        sizes: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
    ) -> Event:
        """Events drawn for codes [B, Z], sizes [B] and conditions [B, K]."""
        ...
