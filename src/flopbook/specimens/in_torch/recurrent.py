"""Build recurrent layers as people write them."""

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import Apply, Built


def _recurrent(kind: type[nn.RNNBase], T, B, D, H, **options) -> Built:
    return Apply(lambda self, x: self.layers(x)[0], layers=kind(D, H, **options)), (torch.randn(T, B, D),)


def rnn(T, B, D, H) -> Built:
    return _recurrent(nn.RNN, T, B, D, H)


def gru(T, B, D, H) -> Built:
    return _recurrent(nn.GRU, T, B, D, H)


def lstm(T, B, D, H) -> Built:
    return _recurrent(nn.LSTM, T, B, D, H, num_layers=2, bidirectional=True)
