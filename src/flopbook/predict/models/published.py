"""Hold the sizes of published transformer decoders, in the letters of `decoder`."""

__all__ = ["PUBLISHED", "WITH_EXPERTS", "WITH_WINDOWS"]

_GPT = dict(V=50257, matrices=2, tables=1)
_LLAMA = dict(G=8, E=128, V=128256, T=8192, matrices=3, tables=2)

#: Sizes of published models by name. T is the context in training. GPT-2: Radford and others, *Language Models are
#: Unsupervised Multitask Learners* (2019). GPT-3: Brown and others, *Language Models are Few-Shot Learners* (2020),
#: table 2.1. Llama 3: Grattafiori and others, *The Llama 3 Herd of Models* (2024), table 3.
PUBLISHED = {
    "GPT-2 small": dict(L=12, D=768, H=12, G=12, E=64, F=3072, T=1024, **_GPT),
    "GPT-3 175B": dict(L=96, D=12288, H=96, G=96, E=128, F=49152, T=2048, **_GPT),
    "Llama 3 8B": dict(L=32, D=4096, H=32, F=14336, **_LLAMA),
    "Llama 3 70B": dict(L=80, D=8192, H=64, F=28672, **_LLAMA),
    "Llama 3 405B": dict(L=126, D=16384, H=128, F=53248, **_LLAMA),
}

_MISTRAL = dict(L=32, D=4096, H=32, G=8, E=128, F=14336, V=32000, matrices=3, tables=2)

#: Sizes of published models whose queries reach over a window of W keys: Jiang and others, *Mistral 7B* (2023),
#: table 1. T is its context.
WITH_WINDOWS = {"Mistral 7B": dict(W=4096, T=8192, **_MISTRAL)}
#: Sizes of published models with X experts, of which a token meets K: Jiang and others, *Mixtral of Experts* (2024),
#: table 1. T is its context.
WITH_EXPERTS = {"Mixtral 8x7B": dict(X=8, K=2, T=32768, **_MISTRAL)}
