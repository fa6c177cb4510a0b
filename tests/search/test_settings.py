"""What search goes by, as settings say it."""

import logging
from pathlib import Path

import pytest

from tests.embeddings.test_local import folder
from threadmill.adapters.embeddings.local import LocalEmbedder
from threadmill.adapters.models.factory import open_reranker
from threadmill.bootstrap import log_search_mode, open_embedder, open_extractor
from threadmill.settings import SettingsError, load

__all__ = ["folder"]

TWO = """
[[upstreams]]
name = "first"
base_url = "http://127.0.0.1:1/v1"
models = ["a*"]
[[upstreams]]
name = "second"
base_url = "http://127.0.0.1:2/v1"
"""


def config_of(tmp_path: Path, text: str = "", **env: str) -> dict[str, str]:
    path = tmp_path / "threadmill.toml"
    path.write_text(text)
    return {"THREADMILL_CONFIG": str(path)} | env


def test_without_a_model_search_goes_by_words_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load(config_of(tmp_path)).config
    embedder = open_embedder(config)
    assert embedder is None
    log_search_mode(embedder)
    assert "words only" in caplog.text
    assert open_reranker(config) is None


def test_the_environment_names_an_embedding_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = load(config_of(tmp_path, TWO, THREADMILL_EMBEDDING_MODEL="embed-3")).config
    embedder = open_embedder(config)
    assert embedder is not None
    assert embedder.identity == "embed-3:own size"
    log_search_mode(embedder)
    assert "embed-3" in caplog.text


def test_the_file_names_models_upstreams_and_limits(tmp_path: Path) -> None:
    search = '[search]\nembedding_model = "e"\nembedding_upstream = "first"\nembedding_dimensions = 256\nrerank_model = "r"\n'
    config = load(config_of(tmp_path, TWO + search + "read_seconds = 7\n")).config
    embedder = open_embedder(config)
    assert embedder is not None
    assert embedder.identity == "e:256"
    assert open_reranker(config) is not None
    assert open_extractor(config).limits.seconds == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[search]\nembedding_model = "e"\n', "needs an upstream"),
        (TWO + '[search]\nembedding_model = "e"\nembedding_upstream = "third"\n', "upstreams are first, second"),
        (TWO + '[search]\nrerank_model = "e"\nrerank_upstream = "third"\n', "upstreams are first, second"),
        (TWO + '[search]\nembedding_model = "e"\nlocal_model = "/m"\n', "not both"),
        ("[search]\nembedding_batch = 0\n", "embedding_batch"),
    ],
)
def test_settings_that_cannot_work_end_the_start_with_a_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(config_of(tmp_path, text))


def test_a_local_model_that_ranks_known_sentences_wrongly_is_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = open_embedder(load(config_of(tmp_path, f'[search]\nlocal_model = "{folder}"\n')).config)
    assert isinstance(embedder, LocalEmbedder)
    assert "Searches by meaning will find the wrong things" in caplog.text


def test_a_local_model_that_is_not_there_ends_the_start_with_a_line(tmp_path: Path) -> None:
    config = load(config_of(tmp_path, f'[search]\nlocal_model = "{tmp_path}"\n')).config
    with pytest.raises(SettingsError, match="lacks tokenizer.json"):
        open_embedder(config)


@pytest.mark.parametrize(
    ("file", "said", "on"), [("", "", True), ("false", "", False), ("false", "1", True), ("true", "0", False)]
)
def test_spreadsheets_are_read_unless_the_file_or_the_environment_says_no(
    tmp_path: Path, file: str, said: str, on: bool
) -> None:
    text = f"[search]\nspreadsheets = {file}\n" if file else ""
    config = load(config_of(tmp_path, text, THREADMILL_SPREADSHEETS=said)).config
    assert config.search.spreadsheets is on
    assert (".csv" in open_extractor(config).extensions) is on


def test_a_switch_of_the_environment_is_1_or_0(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="THREADMILL_SPREADSHEETS is 'maybe'; it must be 1 or 0"):
        load(config_of(tmp_path, "", THREADMILL_SPREADSHEETS="maybe"))
