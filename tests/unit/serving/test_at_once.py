"""At once: a tenant has so many requests that wait for somebody outside, and takes nothing from the others."""

import contextlib

import pytest

from serving.at_once import AtOnce, TooManyAtOnce


def test_one_more_than_may_is_refused_and_other_tenants_are_not():
    places = AtOnce(2)
    with contextlib.ExitStack() as waiting:
        for tenant in ("shop", "shop", "other"):
            waiting.enter_context(places.place(tenant))
        with pytest.raises(TooManyAtOnce, match="2 requests of this tenant"), places.place("shop"):
            raise AssertionError("a third one waits")
        waiting.enter_context(places.place("other"))


def test_a_place_is_free_again_however_the_waiting_ended():
    places = AtOnce(1)
    for _ in range(3):
        with pytest.raises(ConnectionError), places.place("shop"):
            raise ConnectionError
    with places.place("shop"):
        pass
    assert not places._waiting
