"""The minion keys of a master that does not keep them in Salt's key directory, but in another of Salt's caches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

import salt.cache

from ..errors import ConfigError
from ..master.config import KEY_FILES, key_driver_of, keys_dir_of
from ..registry.salt_keys import AcceptedKey, KeyStore, is_name, key_of

T = TypeVar("T")

# driver and directory -> Salt's cache; what it had, and what that was taken for
_caches: dict[tuple[str, str], salt.cache.Cache] = {}
_known: dict[tuple[str, str], tuple[Mapping[str, Any], Mapping[str, AcceptedKey]]] = {}


def key_store_of(opts: Mapping[str, Any]) -> KeyStore | None:
    """None for the key directory, which is read without Salt's cache."""
    return None if key_driver_of(opts) == KEY_FILES else KeyCache(opts)


class KeyCache:
    """The keys in the cache that ``keys.cache_driver`` names. All raise ConfigError where that cannot be read."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._driver = key_driver_of(opts)
        self._place = (self._driver, keys_dir_of(opts))
        if self._place not in _caches:
            _caches[self._place] = salt.cache.Cache(dict(opts), driver=self._driver)
        self._cache = _caches[self._place]

    def accepted(self) -> Mapping[str, AcceptedKey]:
        """Minion id -> accepted key; the same object as before when nothing changed."""
        found = self._entries()
        known = _known.get(self._place)
        if known and known[0] == found:
            return known[1]
        keys = {node: key_of(each["pub"].encode()) for node, each in found.items() if each["state"] == "accepted"}
        _known[self._place] = (found, keys)
        return keys

    def by_name(self) -> Mapping[str, AcceptedKey]:
        """The same, read one by one, for work that concerns few of them."""
        return _ByName(self)

    def one(self, node: str) -> AcceptedKey | None:
        """``node`` may be anything: who claims to be it made it up."""
        if not is_name(node):
            return None
        entry = self._ask(lambda: self._cache.fetch("keys", node))
        return key_of(entry["pub"].encode()) if entry and entry["state"] == "accepted" else None

    def pending(self) -> Collection[str]:
        return {node for node, each in self._entries().items() if each["state"] == "pending"}

    def denied(self) -> Collection[str]:
        return set(self._ask(lambda: self._cache.list("denied_keys")) or ())

    def _entries(self) -> Mapping[str, Any]:
        return self._ask(self._read)

    def _read(self) -> Mapping[str, Any]:
        found = self._cache.list_all("keys", include_data=True)
        return {node: each for node, each in found.items() if is_name(node)}

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except Exception as exc:  # whatever the driver's server or library raises
            raise ConfigError(
                f"the master keeps minion keys in {self._driver!r} (keys.cache_driver), which cannot be read:"
                f" {type(exc).__name__}: {exc}. See whether `salt-key -L` works"
            ) from exc


class _ByName(Mapping[str, AcceptedKey]):
    def __init__(self, cache: KeyCache) -> None:
        self._cache = cache

    def __getitem__(self, node: str) -> AcceptedKey:
        key = self._cache.one(node)
        if key is None:
            raise KeyError(node)
        return key

    def __iter__(self) -> Iterator[str]:
        return iter(self._cache.accepted())

    def __len__(self) -> int:
        return len(self._cache.accepted())
