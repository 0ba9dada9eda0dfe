"""The latent of a text VAE as a space: texts become points, and points become texts."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from lexframe.exceptions import InputError
from lexframe.provenance import SpaceFingerprint
from lexframe.spaces.base import LatentVariableSpace, OpenableSpace, Posterior, Progress
from lexframe.spaces.decoding import Decoding
from lexframe.spaces.language_model.layers import evaluation_mode
from lexframe.spaces.loading import EMBEDDED_VAE, chosen_device
from lexframe.spaces.text_vae.decoding import write_from
from lexframe.spaces.text_vae.files import TRAINING_ONLY, TextVAEModel, load_text_vae
from lexframe.spaces.text_vae.network import token_log_probabilities
from lexframe.spaces.text_vae.texts import VAEText
from lexframe.spaces.tokenization import tokenizer_hash
from lexframe.spaces.weights import weights_hash
from lexframe.typing import Points

_TEXTS_AT_ONCE = {"cpu": 64, "cuda": 1024}


class TextVAESpace(LatentVariableSpace, OpenableSpace):
    """The latent of a text VAE; the point of a text is the mean of q(z | x).

    Parameters
    ----------
    model : str or TextVAEModel
        ``"embedded-vae"``, a folder that ``lexframe vae train`` made, or a model in memory.
    device : str or torch.device, optional
        Default: the first GPU if there is one, else the CPU; a model in memory stays where it is.

    Raises
    ------
    ModelError
        If the folder holds no text VAE.
    InputError
        If it has no latent: a plain language model is made for comparison only.
    """

    kind = "text-vae"

    def __init__(self, model: str | TextVAEModel = EMBEDDED_VAE, *, device: str | torch.device | None = None):
        self.model_name = model if isinstance(model, str) else "a text VAE in memory"
        if isinstance(model, str):
            model = load_text_vae(model)
            model.network.to(chosen_device(device))
        self.model: TextVAEModel = model
        if not model.network.shape.n_latent:
            raise InputError(
                f"{self.model_name} has no latent (n_latent is 0): it is a plain language model. Train it with n_latent above 0."
            )

    @classmethod
    def recognizes(cls, model: str) -> bool:
        """The one that ships with the package, or a folder with ``vae.json``."""
        return model == EMBEDDED_VAE or (Path(model) / "vae.json").is_file()

    @classmethod
    def reopening(cls, fingerprint: SpaceFingerprint) -> dict[str, Any]:
        """Nothing: a text VAE is read in one way."""
        return {}

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self._device)

    @property
    def max_length(self) -> int:
        """Tokens that the decoder writes at most, after which a text is cut."""
        return self.model.texts.max_tokens

    @property
    def n_dims(self) -> int:
        """Dimensions of the latent."""
        return self.model.network.shape.n_latent

    @cached_property
    def fingerprint(self) -> SpaceFingerprint:
        """Weights and tokenizers by hash, and the longest text."""
        texts = self.model.texts
        tokenizers = [texts.tokenizer] + [texts.encoder_tokenizer] * (texts.encoder_tokenizer is not None)
        return SpaceFingerprint(
            kind=type(self).__name__,
            model=self.model_name,
            weights=weights_hash(self.model.network, unused=TRAINING_ONLY),
            tokenizer=" ".join(tokenizer_hash(tokenizer) for tokenizer in tokenizers),
            pooling="posterior mean",
            max_length=texts.max_tokens,
        )

    def truncated(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are longer than the decoder writes and are cut."""
        return np.array([text.truncated for text in self.model.texts(texts)], dtype=bool)

    def token_counts(self, texts: Sequence[str]) -> Int[np.ndarray, " n_texts"]:
        """Tokens of the decoder, the end of the text included."""
        return np.array([len(text) for text in self.model.texts(texts)], dtype=np.int64)

    def encode(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Points:
        """Means of q(z | x)."""
        return self.posterior(texts, batch_size=batch_size, progress=progress).means

    def posterior(self, texts: Sequence[str], *, batch_size: int | None = None, progress: Progress = iter) -> Posterior:
        """The q(z | x) of every text; see :meth:`LatentVariableSpace.posterior`."""
        # Equal texts are read once: two rows of a batch may differ in the last digit, and one text has one point.
        place: dict[tuple[int, ...], int] = {}
        places = [place.setdefault(text.encoder_ids, len(place)) for text in self.model.texts(texts)]
        read = list(place)
        means, log_variances = (np.zeros((len(read), self.n_dims), dtype=np.float32) for _ in range(2))
        with evaluation_mode(self.model.network):
            for rows in progress(self._batches([len(ids) for ids in read], batch_size)):
                ids, mask = (part.to(self._device) for part in self.model.texts.encoder_batch([read[row] for row in rows]))
                mean, log_variance = self.model.network.posterior(ids, mask)
                means[rows], log_variances[rows] = mean.cpu().numpy(), log_variance.cpu().numpy()
        return Posterior(means=means[places], log_variances=log_variances[places])

    def token_log_likelihoods(
        self, texts: Sequence[str], points: Points, *, batch_size: int | None = None, progress: Progress = iter
    ) -> list[Float[np.ndarray, " n_tokens"]]:
        """Log-probability of every token given its point; see :meth:`LatentVariableSpace.token_log_likelihoods`."""
        read = self.model.texts(texts)
        self._check(points, len(read))
        found: list[np.ndarray] = [np.zeros(0)] * len(read)
        with evaluation_mode(self.model.network):
            for rows in progress(self._batches([len(text) for text in read], batch_size)):
                values = self._log_probabilities([read[row] for row in rows], points[rows])
                for row, value in zip(rows, values, strict=True):
                    found[row] = value[: len(read[row])].astype(np.float64)
        return found

    def log_likelihoods(
        self,
        texts: Sequence[str],
        points: Float[np.ndarray, "n_texts n_samples n_dims"],
        *,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> Float[np.ndarray, "n_texts n_samples"]:
        """Log-probability of every text at several points; see :meth:`LatentVariableSpace.log_likelihoods`."""
        read = self.model.texts(texts)
        n_samples = points.shape[1]
        flat = points.reshape(-1, points.shape[-1])
        self._check(flat, len(read) * n_samples)
        found = np.zeros(len(read) * n_samples)
        lengths = np.repeat([len(text) for text in read], n_samples)
        with evaluation_mode(self.model.network):
            for rows in progress(self._batches(lengths, batch_size)):
                found[rows] = self._log_probabilities([read[row // n_samples] for row in rows], flat[rows]).sum(1, dtype=np.float64)
        return found.reshape(len(read), n_samples)

    def decode(
        self,
        points: Points,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = iter,
    ) -> list[str]:
        """A text for every point; see :meth:`DecodableSpace.decode`."""
        decoding = Decoding(temperature, top_p, seed, batch_size)
        self._check(points, len(points))
        texts, step = self.model.texts, batch_size or self._texts_at_once
        written: list[list[int]] = []
        with evaluation_mode(self.model.network):
            for start in progress(range(0, len(points), step)):
                z = torch.from_numpy(np.ascontiguousarray(points[start : start + step], dtype=np.float32)).to(self._device)
                written += write_from(
                    self.model.network.decoder,
                    z,
                    begin=texts.begin,
                    end=texts.end,
                    max_tokens=texts.max_tokens,
                    decoding=replace(decoding, seed=seed + start),
                    n_known=len(texts.tokenizer),
                )
        return texts.texts(written)

    def _log_probabilities(self, texts: list[VAEText], points: np.ndarray) -> np.ndarray:
        batch = self.model.texts.batch(texts).to(self._device)
        z = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)).to(self._device)
        logits = self.model.network.decoder(batch.inputs, batch.mask, z)
        return token_log_probabilities(logits, batch.targets, batch.mask).cpu().numpy()

    @property
    def _device(self) -> torch.device:
        return next(self.model.network.parameters()).device

    @property
    def _texts_at_once(self) -> int:
        return _TEXTS_AT_ONCE.get(self._device.type, 64)

    def _batches(self, lengths: Sequence[int] | np.ndarray, batch_size: int | None) -> list[np.ndarray]:
        """Rows by length, so that little is padded."""
        order = np.argsort(np.asarray(lengths), kind="stable")
        step = batch_size or self._texts_at_once
        return [order[start : start + step] for start in range(0, len(order), step)]

    def _check(self, points: np.ndarray, n_texts: int) -> None:
        if points.ndim != 2 or points.shape[1] != self.n_dims or len(points) != n_texts:
            raise InputError(
                f"Points have shape {points.shape}, but {self.model_name} takes ({n_texts}, {self.n_dims}). They belong to another "
                "latent, or to other texts: encode the texts with this model."
            )
        if not np.isfinite(points).all():
            raise InputError("Some points are not finite. Encode their texts again, or move them less far.")
