"""Options of an aligner: types, values and the parameter methods of scikit-learn."""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError, unknown_name

_FLAGS = (bool, np.bool_)
#: Name of each type of an option in messages, and the Python types that it accepts.
_KINDS: dict[str, tuple[str, tuple[type, ...]]] = {
    "bool": ("True or False", _FLAGS),
    "int": ("a whole number", (numbers.Integral,)),
    "float": ("a number", (numbers.Real,)),
    "str": ("text", (str,)),
}


@dataclass(kw_only=True, eq=False)
class Options:
    """Options of an aligner, which are the fields of a dataclass.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    """

    normalize: bool = True

    def check_options(self) -> None:
        """Raise `InputError` if an option is invalid. The default accepts every value of the right type."""
        return

    def validate_options(self) -> None:
        """Check the types of the options and call `check_options`.

        `fit` calls this method, so that options are validated when they are used and not when they are set.

        Raises
        ------
        InputError
            If an option has the wrong type or an invalid value.
        """
        for option in dataclasses.fields(self):
            value, default, kind = getattr(self, option.name), option.default, str(option.type)
            if value is None and kind.endswith("| None"):
                continue
            expected, types = _KINDS.get(kind.removesuffix(" | None"), ("", (object,)))
            is_negative_seed = option.name == "rng" and isinstance(value, numbers.Integral) and int(value) < 0
            is_bool = isinstance(value, bool | np.bool_)
            is_wrong = not isinstance(value, types) or value != value or (is_bool and types is not _FLAGS)
            if is_wrong or is_negative_seed:
                example = "of 0 or more" if is_negative_seed else "" if default is None else f"such as {default!r}"
                name = type(self).__name__
                raise InputError(f"{name} got {option.name}={shown(value)}, expected {expected} {example}".rstrip())
        try:
            self.check_options()
        except TypeError:
            options = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
            raise InputError(f"{type(self).__name__} got options of the wrong type: {options}") from None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the options, as scikit-learn expects them.

        Parameters
        ----------
        deep : bool, default True
            Accepted for scikit-learn. Aligners contain no other estimators.

        Returns
        -------
        dict of str to Any
            Options by name.
        """
        del deep
        return {option.name: getattr(self, option.name) for option in dataclasses.fields(self)}

    def json_options(self) -> dict[str, Any]:
        """Return the options as JSON values. An option that is an aligner becomes its name and its options.

        Returns
        -------
        dict of str to Any
            Options by name.
        """
        return {
            name: {"class": type(value).__name__, "options": value.json_options()}
            if isinstance(value, Options)
            else value
            for name, value in self.get_params().items()
        }

    def set_params(self, **options: Any) -> Self:
        """Change options. Their values are checked by the next `fit`.

        Maps of earlier options are discarded. They are solved again on use if the moments are still there and
        `normalize` is unchanged.

        Parameters
        ----------
        **options : Any
            New values by name.

        Returns
        -------
        Aligner
            This aligner.

        Raises
        ------
        InputError
            If an option does not exist.
        """
        params = self.get_params()
        for name in options:
            if name not in params:
                raise unknown_name(f"option of {type(self).__name__}", name, params)
        for name, value in options.items():
            setattr(self, name, value)
        if options:
            self._discard_maps()
        return self

    def _discard_maps(self) -> None:
        """React to changed options."""

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=True, two_d_labels=True, single_output=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            array_api_support=True,
            input_tags=InputTags(),
        )
