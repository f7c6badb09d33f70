"""Read the configuration of a model, key by key, and refuse what is not understood."""

import json
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from flopbook import checks
from flopbook.checks import quoted

__all__ = ["Config", "ConfigError"]


class ConfigError(ValueError):
    """Refuses a configuration: names the key, quotes its value, and says what is known."""


#: Keys of any configuration that change neither FLOPs nor parameters nor bytes: where it comes from, which tokens mean
#: what, how weights begin, what is dropped, what a call returns, and how tokens are chosen from what it returns. Older
#: files say all of it, even where it is the default.
WITHOUT_EFFECT = frozenset({
    "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "name_or_path", "architectures", "auto_map",
    "transformers_version",
    "id2label", "label2id", "num_labels", "tokenizer_class", "prefix", "finetuning_task",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "decoder_start_token_id",
    "initializer_range", "initializer_factor",
    "use_cache", "output_attentions", "output_hidden_states", "return_dict", "problem_type", "task_specific_params",
    "tie_last_hidden_states", "chunk_size_feed_forward", "is_encoder_decoder", "cross_attention_hidden_size",
    "pruned_heads", "tie_encoder_decoder", "torchscript", "tf_legacy_loss", "use_bfloat16", "output_past",
    "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
    "encoder_no_repeat_ngram_size", "encoder_repetition_penalty", "exponential_decay_length_penalty",
    "forced_bos_token_id", "forced_decoder_ids", "forced_eos_token_id", "length_penalty", "max_length", "min_length",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores",
    "remove_invalid_values", "repetition_penalty", "return_dict_in_generate", "suppress_tokens", "temperature",
    "top_k", "top_p", "typical_p", "attn_implementation", "cache_implementation",
    "_attn_implementation", "transformers.js_config",
})  # fmt: skip

#: The longest side that a tensor can have.
LONGEST = 2**63 - 1

#: Activation functions with trained numbers of their own.
TRAINED = ("prelu", "xielu")

#: Kinds of layers by the names that older configurations give them.
RENAMED = {"attention": "full_attention", "mamba": "linear_attention"}


class Config:
    """Reads the keys of a configuration and remembers them, so that none is left over.

    Parameters
    ----------
    given : mapping
        In the format of a ``config.json``.
    where : str
        What errors call it, such as "config" or "text_config".

    Examples
    --------
    >>> config = Config({"hidden_size": 64, "hidden_sizes": 3})
    >>> config.size("hidden_size")
    64
    >>> config.finish()
    Traceback (most recent call last):
    flopbook.published.config.ConfigError: config has the key 'hidden_sizes', which is not understood: did you mean \
'hidden_size'?
    """

    def __init__(self, given: Mapping[str, Any], where: str = "config"):
        self.given, self.where = dict(given), where
        self.read: set[str] = set()
        self.ignored: set[str] = set()

    def also_named(self, **names: str) -> None:
        """Take a key under another name that the library knows too: ``also_named(hidden_size="d_model")``.

        As in the library, the other name wins where both are there.
        """
        for other, name in names.items():
            if (value := self.given.pop(other, None)) is not None:
                self.given[name] = value

    def value(self, key: str, default: Any = None) -> Any:
        """Return the value of a key as it is, or the library's default where the key is missing."""
        self.read.add(key)
        return self.given.get(key, default)

    def size(self, key: str, default: int | None = None, least: int = 1) -> int:
        """Return a whole number; a missing or null one is the default.

        Raises
        ------
        ConfigError
            If there is neither, or it is something else.
        """
        value = self.value(key)
        if value is None:
            value = default
        if value is None:
            raise ConfigError(f"{self.where} has no {key!r}: give it a whole number")
        try:
            size = checks.size(key, value, least)
        except ValueError:
            raise ConfigError(
                f"{self.where} says {key} = {quoted(value)}: give a whole number of at least {least}"
            ) from None
        if size > LONGEST:
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: give a whole number of at most {LONGEST}")
        return size

    def size_or_null(self, key: str, default: int | None, least: int = 1) -> int | None:
        """Return a whole number, or None where the key is null: there it is not the same as a missing one."""
        return None if self.value(key, default) is None else self.size(key, default, least)

    def number(self, key: str, default: float) -> float:
        """Return a number, whole or not; a missing or null one is the default.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        value = self.value(key)
        if value is None:
            value = default
        if not checks.is_number(value):
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: give a number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false; a missing or null one is the default."""
        return self.one_of(key, default, (True, False))

    def one_of(self, key: str, default: Any, known: Collection[Any]) -> Any:
        """Return a value that is among the known ones; a missing or null one is the default.

        Raises
        ------
        ConfigError
            If it is another; says which are known.
        """
        value = self.value(key)
        if value is None:
            value = default
        if not any(value is each or (value == each and type(value) is type(each)) for each in known):
            listed = ", ".join(json.dumps(each) for each in known)
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}, which is not understood: known are {listed}")
        return value

    def numbers(self, key: str, default: Sequence[int]) -> list[int]:
        """Return a list of whole numbers, such as one for each layer; a missing or null one is the default.

        Raises
        ------
        ConfigError
            If it is something else.
        """
        value = self.value(key)
        if value is None:
            value = default
        if not isinstance(value, (list, tuple)) or not all(isinstance(each, int) for each in value):
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: give whole numbers in square brackets")
        return list(value)

    def indices(self, key: str) -> tuple[int, ...]:
        """Return the indices of layers, counted from 0, that a key lists; none, if it is missing or null.

        Raises
        ------
        ConfigError
            If it is not a list of whole numbers.

        Examples
        --------
        >>> Config({"mlp_only_layers": [0, 3]}).indices("mlp_only_layers")
        (0, 3)
        """
        value = self.value(key)
        listed = [] if value is None else value
        if not isinstance(listed, (list, tuple)) or any(type(index) is not int or index < 0 for index in listed):
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: list layers, counted from 0, such as [0, 3]")
        return tuple(listed)

    def kinds(self, key: str, known: Collection[str], layers: int) -> tuple[str, ...] | None:
        """Return the kind of each layer that a key lists, or None, if it is missing or null; an old name is renewed.

        Raises
        ------
        ConfigError
            If it does not list one known kind for each of so many layers.

        Examples
        --------
        >>> Config({"layer_types": ["full_attention", "full"]}).kinds("layer_types", ["full_attention"], 2)
        Traceback (most recent call last):
        flopbook.published.config.ConfigError: config says layer_types[1] = 'full', which is not understood: known are \
"full_attention"
        """
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, (list, tuple)) or len(value) != layers:
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: list a kind for each of the {layers} layers")
        renewed = [RENAMED.get(kind, kind) if isinstance(kind, str) else kind for kind in value]
        each = Config({f"{key}[{index}]": kind for index, kind in enumerate(renewed)}, self.where)
        return tuple(each.one_of(name, None, known) for name in each.given)

    def activation(self, key: str) -> None:
        """Read the name of an activation function, which is pointwise.

        Raises
        ------
        ConfigError
            If it is not a name, or the function has trained numbers of its own: these are not counted.
        """
        value = self.value(key)
        if not isinstance(value, str | None):
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: name a function, such as 'silu'")
        if value in TRAINED:
            raise ConfigError(
                f"{self.where} says {key} = {quoted(value)}, which has trained numbers of its own: these are not "
                "understood; known are functions without, such as 'silu'"
            )

    def inner(self, key: str) -> "Config":
        """Return the configuration inside this one.

        Raises
        ------
        ConfigError
            If there is none.
        """
        value = self.value(key, {})
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.where} says {key} = {quoted(value)}: give a configuration in curly brackets")
        return Config(value, f"{self.where}.{key}")

    def without_effect(self, *keys: str) -> None:
        """Name keys that change neither FLOPs nor parameters nor bytes."""
        self.ignored.update(keys)

    def finish(self) -> tuple[str, ...]:
        """Return the keys that are there and have no effect.

        Raises
        ------
        ConfigError
            If a key was not read and is not known to have none, or blocks are to run twice.
        """
        self.one_of("gradient_checkpointing", False, (False,))  # else blocks run twice, which a plan chooses
        passed_over = self.given.keys() - self.read
        harmless = {key for key in passed_over if key in self.ignored or key in WITHOUT_EFFECT}
        for key in sorted(passed_over - harmless, key=str):
            close = get_close_matches(str(key), self.read, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(self.read))}"
            raise ConfigError(f"{self.where} has the key {key!r}, which is not understood: {hint}")
        return tuple(sorted(harmless))
