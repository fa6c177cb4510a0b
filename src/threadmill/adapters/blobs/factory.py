"""From settings to a place for files that works, or a line that says why it does not."""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from threadmill.adapters.blobs.disk import DiskBlobs
from threadmill.engine.ports.blobs import Blobs, InUse
from threadmill.engine.ports.troubles import Troubles, attempt
from threadmill.settings import BlobConfig, Settings, SettingsError

if TYPE_CHECKING:  # the extra `s3` may not be installed
    from threadmill.adapters.blobs.bucket import Bucket, BucketError
    from threadmill.adapters.blobs.s3 import S3Blobs

LOG = logging.getLogger("threadmill")

AFTER_FAILURE_SECONDS = 3600.0
"""When a sweep that failed is made up for."""

ACCESS_DENIED_CODES = frozenset(
    {"403", "AccessDenied", "ExpiredToken", "Forbidden", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
NO_CREDENTIALS_CODES = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})
WRONG_REGION_CODES = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)


@asynccontextmanager
async def open_blobs(settings: Settings, in_use: InUse, troubles: Troubles) -> AsyncGenerator[Blobs]:
    """Swept of what nobody uses: the disk before, a shared store while the server already serves. Raises SettingsError."""
    given = settings.config.blobs
    if given.store == "disk":
        blobs = DiskBlobs(settings.server.data_dir / "blobs", troubles)
        await blobs.sweep(in_use)
        yield blobs
        return
    async with _open_s3(given) as blobs:
        sweeping = asyncio.create_task(_sweep_daily(blobs, in_use, given.grace_seconds, troubles))
        try:
            yield blobs
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)


async def probe_store(settings: Settings) -> None:
    """See whether a shared store can be used, as a start does. Raises SettingsError."""
    async with _open_s3(settings.config.blobs):
        pass


@asynccontextmanager
async def _open_s3(given: BlobConfig) -> AsyncGenerator["S3Blobs"]:
    try:
        from threadmill.adapters.blobs.bucket import BucketConfig, BucketError, open_bucket  # noqa: PLC0415 - an extra
        from threadmill.adapters.blobs.s3 import S3Blobs  # noqa: PLC0415
    except ModuleNotFoundError as error:
        text = f"THREADMILL_BLOBS is {given.store}, but the package {(error.name or '').partition('.')[0]} is not installed."
        raise SettingsError(text, "Install the extra: pip install 'threadmill[s3]'.") from error
    bucket, _, prefix = given.store.removeprefix("s3://").partition("/")
    place = BucketConfig(
        bucket,
        prefix.strip("/"),
        given.endpoint,
        given.region,
        given.addressing,
        given.access_key_id,
        given.secret_access_key,
        given.session_token,
    )
    async with AsyncExitStack() as opening:
        try:
            opened = await opening.enter_async_context(open_bucket(place))
            await _probe(opened)
        except BucketError as error:
            raise _to_settings_error(error, bucket, given.endpoint or "AWS") from error
        yield S3Blobs(opened, given.grace_seconds)


async def _probe(bucket: "Bucket") -> None:
    """List, write, read and remove: what is not allowed shows now, not at the first upload."""
    name = f"incoming/{secrets.token_hex(16)}"
    async for _ in bucket.pages("incoming"):
        break
    await bucket.put(name, b"x")
    try:
        async for _ in bucket.read(name):
            pass
    finally:
        await bucket.delete(name)


def _to_settings_error(error: "BucketError", bucket: str, where: str) -> SettingsError:
    """Why the start ends here, and what to do."""
    reason = error.reason
    if reason == "NoSuchBucket":
        return SettingsError(
            f"The bucket '{bucket}' does not exist at {where}.", "Create it, or name another in THREADMILL_BLOBS."
        )
    if reason in ACCESS_DENIED_CODES:
        advice = "Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the key's rights: list, read, write and delete."
        return SettingsError(f"{where} refuses our credentials for the bucket '{bucket}': {reason}.", advice)
    if reason in NO_CREDENTIALS_CODES:
        advice = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or access_key_id and secret_access_key in [blobs]."
        return SettingsError(f"There are no credentials for the bucket '{bucket}' at {where}.", advice)
    if reason in WRONG_REGION_CODES:
        return SettingsError(
            f"The bucket '{bucket}' is in another region: {reason}.", "Set THREADMILL_BLOBS_REGION to its region."
        )
    advice = "Look whether THREADMILL_BLOBS_ENDPOINT is right and the store is up."
    return SettingsError(f"The bucket '{bucket}' at {where} cannot be used: {error.message}", advice)


async def _sweep_daily(blobs: "S3Blobs", in_use: InUse, every: float, troubles: Troubles) -> None:
    """At the start and then once in each grace; after a failure an hour later at most."""

    async def sweep() -> None:
        removed = await blobs.sweep(in_use)
        LOG.info("Swept %d unused objects from the file storage.", removed)

    while True:
        is_done = await attempt(troubles, "sweeping the file storage", sweep)
        await asyncio.sleep(every if is_done else min(every, AFTER_FAILURE_SECONDS))
