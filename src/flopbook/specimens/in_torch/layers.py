"""Define the modules that the specimens are made of, as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn

#: A model and its inputs.
Built = tuple[nn.Module, tuple[torch.Tensor, ...]]


class Apply(nn.Module):
    """Runs modules as a function says."""

    def __init__(self, function, **modules: nn.Module):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


class Vectors(nn.Module):
    """Runs a linear layer on a vector, a matrix-vector product and a dot product."""

    def __init__(self, D, H, K):
        super().__init__()
        self.first = nn.Linear(D, H)
        self.matrix = nn.Parameter(torch.randn(K, H))
        self.vector = nn.Parameter(torch.randn(K))

    def forward(self, x):
        return torch.mv(self.matrix, self.first(x)).dot(self.vector)


class Einsum(nn.Module):
    """Splits into heads and joins them by einsum."""

    def __init__(self, D, H, E, K):
        super().__init__()
        self.split = nn.Parameter(torch.randn(D, H, E))
        self.join = nn.Parameter(torch.randn(H, E, K))

    def forward(self, x):
        heads = torch.einsum("btd,dhe->bhte", x, self.split)
        return torch.einsum("bhte,hek->btk", heads.tanh(), self.join)


class Rotary(nn.Module):
    """Turns the numbers of a token by the token's place."""

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, T, E):
        super().__init__()
        angles = torch.outer(torch.arange(T), 10_000 ** (-torch.arange(0, E, 2) / E)).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, x):
        left, right = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-right, left), dim=-1) * self.sin


class Attention(nn.Module):
    """Runs scaled_dot_product_attention: G heads of keys and values, R times as many of queries."""

    mask: torch.Tensor | None

    def __init__(self, T, D, G, R, E, *, mask=None, rotary=False, bias=True):
        super().__init__()
        self.heads = G * R, G, G
        self.options = {"is_causal": mask is None, "enable_gqa": R > 1}
        self.width = E
        self.project = nn.Linear(D, sum(self.heads) * E, bias=bias)
        self.join = nn.Linear(G * R * E, D, bias=bias)
        self.rotate = Rotary(T, E) if rotary else nn.Identity()
        self.register_buffer("mask", mask)

    def forward(self, x):
        B, T, _ = x.shape
        heads = self.project(x).view(B, T, sum(self.heads), self.width).transpose(1, 2)
        q, k, v = heads.split(self.heads, dim=1)
        q, k = self.rotate(q), self.rotate(k)
        o = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, **self.options)
        return self.join(o.transpose(1, 2).flatten(2))


def window(T, width) -> torch.Tensor:
    """Make the mask where each token meets itself and the tokens before it, `width` in all."""
    return torch.ones(T, T, dtype=torch.bool).tril().triu(1 - width)


def documents(*lengths) -> torch.Tensor:
    """Make the mask where each token meets itself and the tokens before it in its document."""
    return torch.block_diag(*(torch.ones(length, length) for length in lengths)).tril().bool()


class LatentAttention(nn.Module):
    """Runs attention whose keys and values are made from a latent of C numbers for each token.

    Absorbed, queries meet the latents themselves, and keys and values are never made.
    """

    def __init__(self, T, D, H, E, R, J, C, Q, *, absorbed=False):
        super().__init__()
        self.sizes, self.absorbed = (H, E, R, J, C), absorbed
        self.query_down, self.query_up = nn.Linear(D, Q, bias=False), nn.Linear(Q, H * (E + R), bias=False)
        self.down, self.up = nn.Linear(D, C + R, bias=False), nn.Linear(C, H * (E + J), bias=False)
        self.query_norm, self.norm = nn.RMSNorm(Q), nn.RMSNorm(C)
        self.join, self.rotate = nn.Linear(H * J, D, bias=False), Rotary(T, R)

    def forward(self, x):
        H, E, R, _, C = self.sizes
        queries = self.query_up(self.query_norm(self.query_down(x))).unflatten(-1, (H, E + R)).transpose(1, 2)
        q, q_place = queries.split((E, R), dim=-1)
        latents, k_place = self.down(x).split((C, R), dim=-1)
        met = q, self.rotate(q_place), self.norm(latents), self.rotate(k_place)
        o = self.from_latents(*met) if self.absorbed else self.from_keys(*met)
        return self.join(o.transpose(1, 2).flatten(2))

    def from_keys(self, q, q_place, latents, k_place):
        H, E, _, J, _ = self.sizes
        k, v = self.up(latents).unflatten(-1, (H, E + J)).transpose(1, 2).split((E, J), dim=-1)
        k_place = k_place[:, None].expand(-1, H, -1, -1)
        q, k = torch.cat((q, q_place), dim=-1), torch.cat((k, k_place), dim=-1)
        return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def from_latents(self, q, q_place, latents, k_place):
        H, E, R, J, C = self.sizes
        up_k, up_v = self.up.weight.view(H, E + J, C).split((E, J), dim=1)
        scores = q @ up_k @ latents[:, None].mT + q_place @ k_place[:, None].mT
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        weights = (scores / (E + R) ** 0.5).masked_fill(later, -torch.inf).softmax(-1)
        return weights @ latents[:, None] @ up_v.mT


class Residual(nn.Module):
    """Runs a norm and a module, and adds the input to their result."""

    def __init__(self, norm: nn.Module, module: nn.Module):
        super().__init__()
        self.norm, self.module = norm, module

    def forward(self, x):
        return x + self.module(self.norm(x))


class GPT(nn.Module):
    """Runs L causal blocks; the token embedding is the output layer too."""

    def __init__(self, V, T, D, H, E, F, L=2):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(V, D), nn.Parameter(torch.randn(T, D))
        blocks: list[nn.Module] = []
        for _ in range(L):
            feed_forward = nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))
            attention = Attention(T, D, H, 1, E)
            blocks += Residual(nn.LayerNorm(D), attention), Residual(nn.LayerNorm(D), feed_forward)
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(D)

    def forward(self, tokens):
        x = self.norm(self.blocks(self.tokens(tokens) + self.positions))
        return nn.functional.linear(x, self.tokens.weight)


class SwiGLU(nn.Module):
    """Runs a feed-forward block with a gate."""

    def __init__(self, D, F):
        super().__init__()
        self.gate, self.up = nn.Linear(D, F, bias=False), nn.Linear(D, F, bias=False)
        self.down = nn.Linear(F, D, bias=False)

    def forward(self, x):
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class Mixture(nn.Module):
    """Sends every token to its best experts, and weights their results."""

    def __init__(self, D, F, X, top):
        super().__init__()
        self.top, self.router = top, nn.Linear(D, X, bias=False)
        experts = (nn.Sequential(nn.Linear(D, F), nn.ReLU(), nn.Linear(F, D)) for _ in range(X))
        self.experts = nn.ModuleList(experts)

    def forward(self, x):
        weights, chosen = self.router(x).topk(self.top, dim=-1)
        weights, y = weights.softmax(-1), torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            token, place = (chosen == number).nonzero(as_tuple=True)
            y = y.index_add(0, token, weights[token, place, None] * expert(x[token]))
        return y


class Adapted(nn.Module):
    """Adds a low-rank adapter to a frozen linear layer."""

    def __init__(self, D, R, K):
        super().__init__()
        self.frozen = nn.Linear(D, K).requires_grad_(False)
        self.down, self.up = nn.Linear(D, R, bias=False), nn.Linear(R, K, bias=False)

    def forward(self, x):
        return self.frozen(x) + self.up(self.down(x))


class Rescaled(Adapted):
    """Gives each column of an adapted weight a trained length, as DoRA does."""

    def __init__(self, D, R, K):
        super().__init__(D, R, K)
        self.lengths = nn.Parameter(torch.randn(K))

    def forward(self, x):
        with torch.no_grad():
            norms = torch.linalg.vector_norm(self.frozen.weight + self.up.weight @ self.down.weight, dim=1)
        direction = nn.functional.linear(x, self.frozen.weight) + self.up(self.down(x))
        return direction * (self.lengths / norms) + self.frozen.bias


class Scaled(nn.Module):
    """Multiplies what a frozen layer makes by a trained vector, as IA3 does."""

    def __init__(self, D, K):
        super().__init__()
        self.frozen, self.vector = nn.Linear(D, K).requires_grad_(False), nn.Parameter(torch.ones(K))

    def forward(self, x):
        return self.frozen(x) * self.vector


def _levels(device: torch.device) -> torch.Tensor:
    """Return 16 numbers from -1 to 1, as dense as a normal distribution."""
    quantiles = torch.special.ndtri(torch.linspace(0.02, 0.98, 16, device=device))
    return quantiles / quantiles[-1]


class Quantized(nn.Module):
    """Holds a frozen weight in 4 bits and unpacks it for each product.

    Numbers of a block share a scale of 8 bits, and scales of a group share one of 32 bits.
    """

    packed: torch.Tensor
    scales: torch.Tensor
    largest: torch.Tensor

    def __init__(self, weight: torch.Tensor, block: int = 64, group: int = 256):
        super().__init__()
        blocks = weight.detach().reshape(-1, block)
        scales = blocks.abs().amax(1, keepdim=True)
        largest = scales.reshape(-1, group).amax(1, keepdim=True)
        self.shape = weight.shape
        codes = ((blocks / scales)[..., None] - _levels(weight.device)).abs().argmin(-1).to(torch.uint8)
        self.register_buffer("packed", codes[:, ::2] * 16 + codes[:, 1::2])
        self.register_buffer("scales", (scales.reshape(-1, group) / largest * 255).round().to(torch.uint8))
        self.register_buffer("largest", largest)

    def unpacked(self):
        codes = torch.stack([self.packed >> 4, self.packed & 15], dim=-1).flatten(1).int()
        scales = self.scales * (self.largest / 255)
        return (_levels(self.packed.device)[codes] * scales.reshape(-1, 1)).reshape(self.shape)

    def forward(self, x):
        return nn.functional.linear(x, self.unpacked())


class UnpackedAgain(torch.autograd.Function):
    """Runs a quantized layer, and unpacks its weight again for the gradient of the input, as QLoRA does."""

    @staticmethod
    def forward(context, x, layer):
        context.layer = layer
        return layer(x)

    @staticmethod
    def backward(context, gradient):
        return gradient @ context.layer.unpacked(), None


class Prefixed(nn.Module):
    """Joins trained rows to the keys and values of frozen attention."""

    def __init__(self, P, D, H, E):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, H * E).requires_grad_(False) for _ in range(3))
        self.out, self.H = nn.Linear(H * E, D).requires_grad_(False), H
        self.keys, self.values = (nn.Parameter(torch.randn(1, H, P, E)) for _ in range(2))

    def forward(self, x):
        q, k, v = (part(x).unflatten(-1, (self.H, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        keys = torch.cat([self.keys.expand(len(x), -1, -1, -1), k], dim=2)
        values = torch.cat([self.values.expand(len(x), -1, -1, -1), v], dim=2)
        o = (q @ keys.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1) @ values
        return self.out(o.transpose(1, 2).flatten(2))
