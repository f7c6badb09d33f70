"""Read a model's configuration, and give the model on paper."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from flopbook.checks import quoted
from flopbook.published.config import Config, ConfigError
from flopbook.published.network import Network
from flopbook.published.on_paper import READERS

__all__ = ["from_config"]


def from_config(config: Mapping[str, Any] | str | PathLike, name: str = "") -> Network:
    """Derive a model from its configuration, in the format of a ``config.json`` of Hugging Face.

    Parameters
    ----------
    config : mapping, str or path
        What the file says, or the file. A key that is missing or null has the library's default.
    name : str
        What to call the model; its architecture, unless told otherwise.

    Returns
    -------
    Network
        Its parameters are those that the library makes, its dense FLOPs those that are counted there.

    Raises
    ------
    ConfigError
        If the architecture, a key or a value is not understood: nothing that changes FLOPs, parameters or bytes is
        passed over.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> gpt = from_config(dict(model_type="llama", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
    ...     num_key_value_heads=2, intermediate_size=96, vocab_size=101, tie_word_embeddings=True))
    >>> gpt.parameters, gpt.dense.parameters
    (99072, 2*D*E*G*L + 2*D*E*H*L + 3*D*F*L + 2*D*L + D*V + D)
    """
    given = _given(config)
    architecture = given.pop("model_type", None) or given.pop("_class_name", None)
    if architecture is None:
        raise ConfigError(f"the configuration has no 'model_type': add one, such as {', '.join(sorted(READERS))}")
    if not isinstance(architecture, str) or architecture not in READERS:
        raise ConfigError(f"model_type = {quoted(architecture)} is not understood: {_hint(str(architecture), given)}")
    read = Config(given)
    number_format = _number_format(read)
    stored = _stored(read)
    parts, sizes = READERS[architecture](read)
    main, further = (tuple(part for part in parts if part.further is each) for each in (False, True))
    return Network(
        name or architecture, architecture, main, sizes, number_format, stored, read.finish(), further
    )  # fmt: skip


def _hint(architecture: str, given: Mapping[str, Any]) -> str:
    if isinstance(text := given.get("text_config"), Mapping):
        part = str(text.get("model_type") or f"{architecture}_text")
        if part in READERS:
            return f"it is several models in one; give its text_config alone, with model_type {part!r}"
    close = get_close_matches(architecture, READERS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(READERS))}"


def _number_format(read: Config) -> str:
    """Read the format of the parameters, which files name by an older key, too."""
    for key in ("dtype", "torch_dtype"):
        value = read.value(key)
        if not isinstance(value, str | None):
            raise ConfigError(f"{read.where} says {key} = {quoted(value)}: name a format, such as 'bfloat16'")
    return read.value("dtype") or read.value("torch_dtype") or "float32"


def _stored(read: Config) -> str:
    """Read how published weights are stored in fewer bits, which changes no formula of training."""
    if read.value("quantization_config") is None:
        return ""
    how = read.inner("quantization_config")
    how.without_effect(
        "activation_scheme", "fmt", "scale_fmt", "weight_block_size", "dequantize", "modules_to_convert",
        "modules_to_not_convert", "ignored_layers",
    )  # fmt: skip
    method = how.one_of("quant_method", None, ("fp8", "mxfp4"))
    how.finish()
    return method


def _given(config: Mapping[str, Any] | str | PathLike) -> dict[str, Any]:
    if isinstance(config, Mapping):
        return dict(config)
    if not isinstance(config, (str, PathLike)):
        raise TypeError(f"{quoted(config)} is not a configuration: give a dict, or the path of a config.json")
    path = Path(config)
    if path.is_dir():
        path = path / "config.json"
    return parse(path.read_bytes(), str(path))


def parse(text: str | bytes, where: str) -> dict[str, Any]:
    """Parse the text of a ``config.json``; `where` is what an error calls it.

    Raises
    ------
    ConfigError
        If it is not JSON, or not a configuration.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{where} holds {quoted(given)}: give a configuration in curly brackets")
    return given
