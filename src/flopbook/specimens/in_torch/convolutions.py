"""Build convolutions as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import Tensor, nn

from flopbook.specimens.in_torch.layers import Built


def dilated(B, C, K, X, R) -> Built:
    return nn.Conv1d(C, K, R, dilation=2), (torch.randn(B, C, X),)


def strided(B, C, K, X, Y, R, S) -> Built:
    return nn.Conv2d(C, K, (R, S), stride=2, padding=1), (torch.randn(B, C, X, Y),)


def volumetric(B, C, K, X, Y, Z, R, S, U) -> Built:
    return nn.Conv3d(C, K, (R, S, U)), (torch.randn(B, C, X, Y, Z),)


def grouped(B, G, C, K, X, Y, R, S) -> Built:
    model = nn.Conv2d(G * C, G * K, (R, S), groups=G, bias=False)
    return model, (torch.randn(B, G * C, X, Y),)


def depthwise_separable(B, C, K, X, Y, R, S) -> Built:
    layers = nn.Conv2d(C, C, (R, S), groups=C, bias=False), nn.ReLU(), nn.Conv2d(C, K, 1, bias=False)
    return nn.Sequential(*layers), (torch.randn(B, C, X, Y),)


def transposed(B, C, K, X, Y, R, S) -> Built:
    return nn.ConvTranspose2d(C, K, (R, S), stride=2), (torch.randn(B, C, X, Y),)


def cnn(B, C, D, H, K, X, Y, R) -> Built:
    first = nn.Conv2d(C, D, R, padding=1, bias=False), nn.BatchNorm2d(D), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(D, H, R, padding=1, bias=False), nn.BatchNorm2d(H), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(H, K)), (torch.randn(B, C, X, Y),)


def circular(B, C, K, X, Y, R, S) -> Built:
    return nn.Conv2d(C, K, (R, S), padding="same", padding_mode="circular"), (torch.randn(B, C, X, Y),)


def transposed_in_groups(B, G, C, K, X, R) -> Built:
    model = nn.ConvTranspose1d(G * C, G * K, R, stride=3, padding=1, output_padding=2, groups=G)
    return model, (torch.randn(B, G * C, X),)


def unfolded(B, C, K, X, Y, R, S) -> Built:
    return Unfolded(C, K, (R, S)), (torch.randn(B, C, X, Y),)


def bottleneck(B, C, D, X, Y) -> Built:
    return Bottleneck(C, D, stride=2), (torch.randn(B, C, X, Y),)


class Unfolded(nn.Module):
    """Convolves by a matrix product: each column is what the kernel covers at one place."""

    def __init__(self, C, K, kernel: tuple[int, int]):
        super().__init__()
        self.unfold = nn.Unfold(kernel)
        self.weight = nn.Parameter(torch.randn(K, C * kernel[0] * kernel[1]))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight @ self.unfold(images)


class Bottleneck(nn.Module):
    """Runs three convolutions around the middle one of D channels, and adds what came in."""

    def __init__(self, C, D, stride=1, strided=3):
        super().__init__()
        first, second = (stride, 1) if strided == 1 else (1, stride)
        self.layers = nn.Sequential(
            *(nn.Conv2d(C, D, 1, first, bias=False), nn.BatchNorm2d(D), nn.ReLU()),
            *(nn.Conv2d(D, D, 3, second, padding=1, bias=False), nn.BatchNorm2d(D), nn.ReLU()),
            *(nn.Conv2d(D, 4 * D, 1, bias=False), nn.BatchNorm2d(4 * D)),
        )
        self.shortcut: nn.Module = nn.Identity()
        if C != 4 * D or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(C, 4 * D, 1, stride, bias=False), nn.BatchNorm2d(4 * D))

    def forward(self, images: Tensor) -> Tensor:
        return (self.layers(images) + self.shortcut(images)).relu()


def bottleneck_network(C, D, K, blocks, strided=3) -> nn.Sequential:
    """Build a residual network: a stem, stages of bottleneck blocks, and a linear layer on the mean."""
    stem = nn.Conv2d(C, D, 7, 2, padding=3, bias=False), nn.BatchNorm2d(D), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
    stages, channels = [], D
    for stage, count in enumerate(blocks):
        width = D * 2**stage
        for block in range(count):
            stages.append(Bottleneck(channels, width, 2 if stage and not block else 1, strided))
            channels = 4 * width
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, K))
