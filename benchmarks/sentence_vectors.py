"""Whether sentences can be told by vectors without torch or a download from a hub (experiment B19).

all-MiniLM-L6-v2 comes as files in a wheel, which is installed beside, and runs here in numpy alone: WordPiece, six
layers of attention, the mean over words. Similarities are held to those the model's page tells of four sentences.
Kairos itself does not use such vectors: the row says what they would cost.
"""

import json
import time
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import erf

from benchmarks import peers

Array = np.ndarray[Any, np.dtype[np.float32]]

SENTENCES = ("That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day")
PUBLISHED = (0.6946, 0.9429, 0.2569)
"""Similarity of the first sentence to each other."""
MOST_DIFFERENCE, MOST_MILLISECONDS, REPEATS = 1e-3, 10.0, 20
LAYERS, HEADS, EPSILON = 6, 12, 1e-12


def measure() -> dict[str, Any]:
    """Return the largest distance from the published similarities, and the milliseconds of a sentence."""
    try:
        places = peers.ask(peers.SENTENCES, "where_model.py")
    except peers.Unavailable as error:
        return {"peer": None, "peer unavailable": str(error), "met": None}
    encoder = Encoder(weights_of(Path(places["model"][0])), Path(places["vocabulary"][0]).read_text().splitlines())
    first, *others = (encoder.vector(sentence) for sentence in SENTENCES)
    found = [float(first @ other) for other in others]
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        encoder.vector(SENTENCES[2])
        seconds.append(time.process_time() - started)
    milliseconds = 1000 * float(np.median(seconds))
    difference = max(abs(one - told) for one, told in zip(found, PUBLISHED, strict=True))
    return {
        "peer": "similarities on the model's page; sentence-transformers and torch were not installed",
        "model": peers.SENTENCES.about,
        "similarities": [round(one, 4) for one in found],
        "max_abs_difference": difference,
        "milliseconds_of_processor": round(milliseconds, 2),
        "milliseconds_best": round(1000 * min(seconds), 2),
        "met": bool(difference <= MOST_DIFFERENCE and milliseconds <= MOST_MILLISECONDS),
    }


def weights_of(path: Path) -> dict[str, Array]:
    """Return the arrays of a safetensors file, float32 ones only."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    made = {}
    for name, about in json.loads(raw[8:start]).items():
        if about.get("dtype") == "F32":
            low, high = about["data_offsets"]
            made[name] = np.frombuffer(raw[start + low : start + high], dtype="<f4").reshape(about["shape"])
    return made


class Encoder:
    """From a sentence to a vector of length 1."""

    def __init__(self, weights: dict[str, Array], words: list[str]) -> None:
        self._weights, self._words = weights, {word: place for place, word in enumerate(words)}

    def vector(self, sentence: str) -> Array:
        """Return the sentence's vector, shape (384,)."""
        tokens = [self._words[each] for each in ("[CLS]", *self._pieces(sentence), "[SEP]")]
        w = self._weights
        x = (
            w["embeddings.word_embeddings.weight"][tokens]
            + w["embeddings.position_embeddings.weight"][: len(tokens)]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._normalised(x, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}")
        mean = x.mean(axis=0)
        made: Array = mean / np.linalg.norm(mean)
        return made

    def _layer(self, x: Array, name: str) -> Array:
        x = self._normalised(x + self._attended(x, f"{name}.attention"), f"{name}.attention.output.LayerNorm")
        inner = self._linear(x, f"{name}.intermediate.dense")
        inner = (0.5 * inner * (1 + erf(inner / np.sqrt(2)))).astype(np.float32)
        return self._normalised(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attended(self, x: Array, name: str) -> Array:
        query, key, value = (
            self._linear(x, f"{name}.self.{part}").reshape(len(x), HEADS, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[2])
        share = np.exp(scores - scores.max(axis=2, keepdims=True))
        share /= share.sum(axis=2, keepdims=True)
        return self._linear((share @ value).swapaxes(0, 1).reshape(x.shape), f"{name}.output.dense")

    def _linear(self, x: Array, name: str) -> Array:
        made: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return made

    def _normalised(self, x: Array, name: str) -> Array:
        away = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((away**2).mean(axis=-1, keepdims=True) + EPSILON)
        made: Array = away / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return made

    def _pieces(self, sentence: str) -> list[str]:
        """Return the longest pieces the vocabulary has, of lower-case words without accents."""
        plain = "".join(
            each for each in unicodedata.normalize("NFD", sentence.lower()) if not unicodedata.combining(each)
        )
        spaced = "".join(each if each.isalnum() else f" {each} " for each in plain)
        return [piece for word in spaced.split() for piece in self._pieces_of(word)]

    def _pieces_of(self, word: str) -> list[str]:
        made, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            end = next((end for end in range(len(word), start, -1) if mark + word[start:end] in self._words), None)
            if end is None:
                return ["[UNK]"]
            made.append(mark + word[start:end])
            start = end
        return made
