"""Upstreams over https: whose certificate is trusted, and what is said when it is not."""

import ssl
from pathlib import Path

import pytest
import trustme

from tests.models.support import pieces_of, text_of
from tests.support.upstream import ScriptedUpstream, Text
from threadmill.adapters.models.upstream.openai_compatible import OpenAICompatible
from threadmill.adapters.models.upstream.settings import UpstreamSettings
from threadmill.engine.ports.model import ModelError


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def tls_of(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - its optional pyOpenSSL
    return context


async def test_an_upstream_of_an_authority_in_ca_file_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    async with ScriptedUpstream(tls_of(authority, "127.0.0.1")) as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, ca_file=tmp_path / "ca.pem"))
        upstream.answer(Text("safe"))
        assert text_of(await pieces_of(model)) == "safe"
        await model.aclose()


@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"])
async def test_an_unknown_authority_or_another_hosts_certificate_is_refused(
    authority: trustme.CA, tmp_path: Path, name: str
) -> None:
    ca_file = tmp_path / "ca.pem" if name != "127.0.0.1" else None
    async with ScriptedUpstream(tls_of(authority, name)) as upstream:
        model = OpenAICompatible(UpstreamSettings(upstream.url, ca_file=ca_file))
        with pytest.raises(ModelError, match="has no certificate this server trusts; see ca_file"):
            await pieces_of(model)
        await model.aclose()
        assert not upstream.requests
