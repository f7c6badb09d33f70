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


class Attention(nn.Module):
    """Runs scaled_dot_product_attention: G heads of keys and values, R times as many of queries."""

    cos: torch.Tensor
    sin: torch.Tensor
    mask: torch.Tensor | None

    def __init__(self, T, D, G, R, E, *, window=None, rotary=False, bias=True):
        super().__init__()
        self.heads = G * R, G, G
        self.options = {"is_causal": window is None, "enable_gqa": R > 1}
        self.width, self.rotary = E, rotary
        self.project = nn.Linear(D, sum(self.heads) * E, bias=bias)
        self.join = nn.Linear(G * R * E, D, bias=bias)
        angles = torch.outer(torch.arange(T), 10_000 ** (-torch.arange(0, E, 2) / E)).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        near = torch.ones(T, T, dtype=torch.bool).tril().triu(1 - window) if window else None
        self.register_buffer("mask", near)

    def forward(self, x):
        B, T, _ = x.shape
        heads = self.project(x).view(B, T, sum(self.heads), self.width).transpose(1, 2)
        q, k, v = heads.split(self.heads, dim=1)
        if self.rotary:
            q, k = self.rotate(q), self.rotate(k)
        o = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.mask, **self.options)
        return self.join(o.transpose(1, 2).flatten(2))

    def rotate(self, x):
        """Apply the rotary position embedding."""
        left, right = x.chunk(2, dim=-1)
        return x * self.cos + torch.cat((-right, left), dim=-1) * self.sin


class Residual(nn.Module):
    """Runs a norm and a module, and adds the input to their result."""

    def __init__(self, norm: nn.Module, module: nn.Module):
        super().__init__()
        self.norm, self.module = norm, module

    def forward(self, x):
        return x + self.module(self.norm(x))


class GPT(nn.Module):
    """Runs two causal blocks; the token embedding is the output layer too."""

    def __init__(self, V, T, D, H, E, F):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(V, D), nn.Parameter(torch.randn(T, D))
        blocks: list[nn.Module] = []
        for _ in range(2):
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


class Quantized(nn.Module):
    """Holds a frozen layer in 4 bits, with a scale for each row, and rounds back before each product."""

    packed: torch.Tensor
    scales: torch.Tensor
    levels: torch.Tensor

    def __init__(self, layer: nn.Linear):
        super().__init__()
        self.bias = layer.bias
        scales = layer.weight.detach().abs().amax(dim=1, keepdim=True)
        self.register_buffer("levels", torch.linspace(-1, 1, 16))
        codes = (layer.weight.detach()[..., None] / scales[..., None] - self.levels).abs().argmin(-1).to(torch.uint8)
        self.register_buffer("packed", codes[:, ::2] * 16 + codes[:, 1::2])
        self.register_buffer("scales", scales)

    def forward(self, x):
        codes = torch.stack([self.packed >> 4, self.packed & 15], dim=-1).flatten(1)
        return nn.functional.linear(x, self.levels[codes.int()] * self.scales, self.bias)


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
