"""What Cerberus finds in a document, said in our own sentences.

Shape and text are checked here, file by file, so that the outcome can be cached; a value that holds a ``${reference}`` is left
alone, for what it will be is not known yet: its reading function sees it again when the spec is built.

``faults`` says each fault once. The value of a faulty field becomes ``FAULTY`` in the document: whoever reads it later takes the
default and stays silent. A misspelt field counts as the field that was meant, so that nobody also calls that one missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cerberus import TypeDefinition, Validator, errors
from cerberus.schema import UnvalidatedSchema

from monorelay.config.fields import Path
from monorelay.config.problems import near_miss
from monorelay.config.schema import FAULTY, Rules, Schema, holds_reference


class Checker(Validator):  # type: ignore[misc]  # Cerberus ships no types
    """Cerberus, with references in place of scalars, suggestions, and ``texts``: what each text of a list must be.

    >>> list(faults(Checker({"port": field("integer")}), {"prot": 1}))
    [(('prot',), 'unknown field, did you mean port?')]
    """

    types_mapping = {**Validator.types_mapping, "integer": TypeDefinition("integer", (int,), (bool,))}

    def _validate_texts(self, rules: Rules, field: str, value: Any) -> None:
        """{'type': 'dict'}"""
        # Cerberus' own `schema` makes a validator for every list (three times slower), and would not leave it to mappings.
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if not isinstance(item, str):
                self._complain((field, index), _wrong_kind(["string"], item) if item is not None else "has no value")
            elif "check_with" in rules:
                rules["check_with"]((field, index), item, self._complain)

    def _complain(self, path: Path, sentence: str) -> None:
        code = errors.CUSTOM.code
        self._error(
            [errors.ValidationError((*self.document_path, *path), (*self.schema_path, *path), code, None, None, None, (sentence,))]
        )

    def _validate_schema(self, schema: Any, field: str, value: Any) -> None:
        """{'type': ['dict', 'string'], 'anyof': [{'check_with': 'schema'}, {'check_with': 'bulk_schema'}]}"""
        # Of a field that is a list or a mapping, ``schema`` has the mapping's fields, and ``texts`` speaks of the list.
        if value and not (isinstance(value, list) and "texts" in self._resolve_rules_set(self.schema[field])):
            super()._validate_schema(schema, field, value)

    def _validate_keysrules(self, schema: Any, field: str, value: Any) -> None:
        """{'type': ['dict', 'string'], 'check_with': 'bulk_schema', 'forbidden': ['rename', 'rename_handler']}"""
        if value:
            super()._validate_keysrules(schema, field, value)

    def _validate_valuesrules(self, schema: Any, field: str, value: Any) -> None:
        """{'type': ['dict', 'string'], 'check_with': 'bulk_schema', 'forbidden': ['rename', 'rename_handler']}"""
        if value:
            super()._validate_valuesrules(schema, field, value)

    def _validate_type(self, data_type: Any, field: str, value: Any) -> None:
        """{'type': ['string', 'list'], 'check_with': 'type'}"""
        kinds = {data_type} if isinstance(data_type, str) else set(data_type)
        if not (holds_reference(value) and kinds & _SCALARS):
            super()._validate_type(data_type, field, value)

    def _error(self, *args: Any) -> None:
        if len(self._errors) >= _MANY:
            return
        if len(args) == 2 and args[1] is errors.UNKNOWN_FIELD:
            super()._error(*args, near_miss(args[0], self.schema))
        else:
            super()._error(*args)


_MANY = 100  # of one mapping: Cerberus sorts all errors again at each one, and nobody reads more
_SCALARS = {"string", "integer", "number", "boolean"}


def checker_of(schema: Schema) -> Checker:
    """A checker that takes the schema as right: Cerberus' own check of ours takes 60 ms at each start, so a test does it."""
    return Checker(UnvalidatedSchema(schema))


def faults(checker: Checker, document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """What is wrong, by path, each path once; the document is marked with FAULTY there."""
    if checker.validate(document, normalize=False):
        return
    seen: set[Path] = set()
    for error in list(_leaves(checker._errors)):
        path = error.document_path
        if path in seen:
            continue
        seen.add(path)
        parent: Any = document
        for part in path[:-1]:
            parent = parent[part]
        yield path, _sentence(error, parent[path[-1]])
        parent[path[-1]] = FAULTY
        if error.code == errors.UNKNOWN_FIELD.code and error.info[0] is not None:
            parent.setdefault(error.info[0], FAULTY)


def _leaves(found: Iterable[Any]) -> Iterator[Any]:
    for error in found:
        if error.is_group_error:
            yield from _leaves(error.child_errors)
        else:
            yield error


_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "dict": "a mapping (lines of `key: value`)",
    "list": "a list",
}


def _sentence(error: Any, value: Any) -> str:
    if error.code == errors.CUSTOM.code:
        return str(error.info[0])
    if error.code == errors.UNKNOWN_FIELD.code:
        return "unknown field" + (f", did you mean {error.info[0]}?" if error.info[0] is not None else "")
    if error.code == errors.NOT_NULLABLE.code:
        return "has no value"
    if error.code == errors.BAD_TYPE.code:
        return _wrong_kind([error.constraint] if isinstance(error.constraint, str) else list(error.constraint), value)
    raise AssertionError(f"the schemas use no rule that could end in {error!r}")


def _wrong_kind(kinds: list[str], value: Any) -> str:
    wanted = "must be " + " or ".join(_KINDS[kind] for kind in kinds)
    if "string" in kinds and not {"number", "integer"}.intersection(kinds) and isinstance(value, bool | int | float):
        return wanted + ": put it in quotes"
    if kinds == ["boolean"] and isinstance(value, str):
        return "must be a boolean: write true or false, without quotes"
    return wanted
