"""The specimens as people write them: PyTorch only, nothing of a formula in it.

A builder takes the sizes by name and returns the model and its inputs. It
ignores letters that only the derivation needs.
"""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.specimens.layers import GPT, Adapted, Apply, Attention, Einsum, Mixture, Residual, SwiGLU, Vectors

Built = tuple[nn.Module, tuple[torch.Tensor, ...]]


def mlp(B, D, H, J, K) -> Built:
    layers = nn.Linear(D, H), nn.ReLU(), nn.Linear(H, J), nn.ReLU(), nn.Linear(J, K)
    return nn.Sequential(*layers), (torch.randn(B, D),)


def linear_on_four_axes(A, B, T, D, K) -> Built:
    return nn.Linear(D, K, bias=False), (torch.randn(A, B, T, D),)


def vectors(D, H, K, **_) -> Built:
    return Vectors(D, H, K), (torch.randn(D),)


def einsum(B, T, D, H, E, K) -> Built:
    return Einsum(D, H, E, K), (torch.randn(B, T, D),)


def dilated(B, C, K, X, R, **_) -> Built:
    return nn.Conv1d(C, K, R, dilation=2), (torch.randn(B, C, X),)


def strided(B, C, K, X, Y, R, S, **_) -> Built:
    return nn.Conv2d(C, K, (R, S), stride=2, padding=1), (torch.randn(B, C, X, Y),)


def volumetric(B, C, K, X, Y, Z, R, S, U, **_) -> Built:
    return nn.Conv3d(C, K, (R, S, U)), (torch.randn(B, C, X, Y, Z),)


def grouped(B, G, C, K, X, Y, R, S, **_) -> Built:
    model = nn.Conv2d(G * C, G * K, (R, S), groups=G, bias=False)
    return model, (torch.randn(B, G * C, X, Y),)


def depthwise_separable(B, C, K, X, Y, R, S, **_) -> Built:
    layers = nn.Conv2d(C, C, (R, S), groups=C, bias=False), nn.ReLU(), nn.Conv2d(C, K, 1, bias=False)
    return nn.Sequential(*layers), (torch.randn(B, C, X, Y),)


def transposed(B, C, K, X, Y, R, S, **_) -> Built:
    return nn.ConvTranspose2d(C, K, (R, S), stride=2), (torch.randn(B, C, X, Y),)


def cnn(B, C, D, H, K, X, Y, R, **_) -> Built:
    first = nn.Conv2d(C, D, R, padding=1, bias=False), nn.BatchNorm2d(D), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(D, H, R, padding=1, bias=False), nn.BatchNorm2d(H), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(H, K)), (torch.randn(B, C, X, Y),)


def _recurrent(kind: type[nn.RNNBase], T, B, D, H, **options) -> Built:
    return Apply(lambda self, x: self.layers(x)[0], layers=kind(D, H, **options)), (torch.randn(T, B, D),)


def rnn(T, B, D, H, **_) -> Built:
    return _recurrent(nn.RNN, T, B, D, H)


def gru(T, B, D, H, **_) -> Built:
    return _recurrent(nn.GRU, T, B, D, H)


def lstm(T, B, D, H, **_) -> Built:
    return _recurrent(nn.LSTM, T, B, D, H, num_layers=2, bidirectional=True)


def causal_attention(B, T, D, H, E, **_) -> Built:
    return Attention(T, D, H, 1, E), (torch.randn(B, T, D),)


def grouped_attention(B, T, D, G, R, E, **_) -> Built:
    return Attention(T, D, G, R, E, window=3), (torch.randn(B, T, D),)


def multi_head_attention(B, T, D, H, **_) -> Built:
    layer = nn.MultiheadAttention(D, H, batch_first=True)
    return Apply(lambda self, x: self.attention(x, x, x)[0], attention=layer), (torch.randn(B, T, D),)


def _encoder_layer(D, H, F):
    return nn.TransformerEncoderLayer(D, H, F, dropout=0.0, batch_first=True)


def encoder_layer(B, T, D, H, F, **_) -> Built:
    return _encoder_layer(D, H, F), (torch.randn(B, T, D),)


def encoder_layer_inference(B, T, D, H, F, **_) -> Built:
    def infer(self, x):
        with torch.no_grad():
            return self.layer(x)

    return Apply(infer, layer=_encoder_layer(D, H, F)).eval(), (torch.randn(B, T, D),)


def gpt(B, T, V, D, H, E, F, **_) -> Built:
    return GPT(V, T, D, H, E, F), (torch.randint(V, (B, T)),)


def llama(B, T, D, G, R, E, F, **_) -> Built:
    attention = Attention(T, D, G, R, E, rotary=True, bias=False)
    blocks = Residual(nn.RMSNorm(D), attention), Residual(nn.RMSNorm(D), SwiGLU(D, F))
    return nn.Sequential(*blocks), (torch.randn(B, T, D),)


def mixture(B, D, F, X, M) -> Built:
    return Mixture(D, F, X, top=M // B), (torch.randn(B, D),)


def lora(B, D, R, H, K) -> Built:
    return nn.Sequential(Adapted(D, R, H), nn.ReLU(), Adapted(H, R, K)), (torch.randn(B, D),)


def _checkpointed(reentrant, B, D, H, F) -> Built:
    def run(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=reentrant)
        return x

    blocks = (nn.Sequential(nn.Linear(H, F), nn.ReLU(), nn.Linear(F, H)) for _ in range(2))
    return Apply(run, stem=nn.Linear(D, H), blocks=nn.ModuleList(blocks)), (torch.randn(B, D),)


def checkpointed(**sizes) -> Built:
    return _checkpointed(False, **sizes)


def checkpointed_reentrant(**sizes) -> Built:
    return _checkpointed(True, **sizes)


def autocast(**sizes) -> Built:
    model, inputs = mlp(**sizes)

    def run(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.layers(x)

    return Apply(run, layers=model), inputs
