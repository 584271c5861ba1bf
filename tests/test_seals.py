"""Seals: what is whole is taken back as it was, and nothing else is."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from lgaa_jax.seals import SEAL, array_checksum, closed, opened, sealed, unclosed

OBJECT = {"b": [1, 2.5, None], "a": {"ü": "text", "n": 0.1 + 0.2}}


def test_an_object_comes_back_from_disk_in_any_order_of_its_keys():
    text = json.dumps(sealed(OBJECT))
    assert opened(json.loads(text)) == OBJECT
    assert opened(dict(reversed(json.loads(text).items()))) == OBJECT
    assert opened(sealed({"pair": (1, 2)})) == {"pair": (1, 2)}
    assert opened(json.loads(json.dumps(sealed({"pair": (1, 2)})))) == {"pair": [1, 2]}


def test_no_changed_byte_of_an_object_passes():
    text = json.dumps(sealed(OBJECT)).encode()
    for place in range(len(text)):
        changed = bytearray(text)
        changed[place] ^= 1
        try:
            found = json.loads(changed.decode(errors="surrogateescape"))
        except ValueError:
            continue
        assert opened(found, frozenset({"a", "b"})) in (None, OBJECT), changed  # the same float


def test_an_object_of_a_version_without_seals_is_known_by_its_keys():
    assert opened(OBJECT) is None
    assert opened(OBJECT, frozenset({"a", "b", "c"})) == OBJECT
    assert opened(OBJECT, frozenset({"a"})) is None
    assert opened({**OBJECT, SEAL: "0"}, frozenset({"a", "b"})) is None
    assert [opened(found) for found in (None, [], "text")] == [None] * 3


def test_a_file_carries_its_seal():
    content = bytes(range(256))
    whole = closed(content)
    assert unclosed(whole) == content
    assert unclosed(closed(b"")) == b""
    for damaged in (b"", content, whole[:-1], whole[1:], bytes([1]) + whole[1:]):
        assert unclosed(damaged) is None


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "bfloat16"])
def test_the_checksum_of_an_array_is_that_of_its_bytes(dtype):
    array = jnp.asarray(np.arange(6).reshape(2, 3) % 2, dtype)
    expected = hashlib.sha256(np.asarray(array).tobytes()).hexdigest()
    assert array_checksum(array) == expected
    assert array_checksum(np.asfortranarray(array)) == expected
    assert array_checksum(jnp.int32(7)) == hashlib.sha256(np.int32(7).tobytes()).hexdigest()
    assert array_checksum(np.zeros((0, 3))) == hashlib.sha256(b"").hexdigest()
