"""One bucket of an S3-compatible store: the few requests that S3Blobs needs, and their errors in our words."""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from threadmill.domain.error import Unavailable

if TYPE_CHECKING:  # stubs, which a server does not have
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef, ResponseMetadataTypeDef

READ_SIZE = 1024 * 1024
"""Bytes read at once."""

FULL_CODES = frozenset(
    {
        "InsufficientStorage",
        "QuotaExceeded",
        "XMinioStorageFull",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageQuota",
    }
)
MISSING_CODES = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})


class BucketError(Unavailable):
    """The store refused or did not answer; `reason` is its error code, or the kind of the failure."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason: str = reason


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object of the bucket: name without the prefix, bytes, seconds since it was written by the store's clock."""

    name: str
    size: int
    age: float


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """Where a bucket is and who asks. What is None is found as AWS's own tools find it: environment, files, role."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    addressing: str = "auto"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


@asynccontextmanager
async def open_bucket(config: BucketConfig) -> AsyncGenerator["Bucket"]:
    """A bucket to use; nothing is asked of the store yet. Raises BucketError."""
    addressing = config.addressing if config.addressing != "auto" or config.endpoint is None else "path"
    client_config = AioConfig(
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=256,  # each download that a client reads slowly holds one
        retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": addressing},
        # Else every request carries checksums that many compatible stores refuse; the key is one already.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    with _as_bucket_error():
        making = get_session().create_client(  # pyright: ignore[reportUnknownMemberType] - typed for this service only
            "s3",
            region_name=config.region or ("us-east-1" if config.endpoint else None),
            endpoint_url=config.endpoint,
            aws_access_key_id=config.access_key_id,
            aws_secret_access_key=config.secret_access_key,
            aws_session_token=config.session_token,
            config=client_config,
        )
        client = await making.__aenter__()
    try:
        yield Bucket(client, config.bucket, f"{config.prefix}/" if config.prefix else "")
    finally:
        await making.__aexit__(None, None, None)


class Bucket:
    """Names stand behind the prefix. Everything raises BucketError."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client: S3Client = client
        self._bucket: str = bucket
        self._prefix: str = prefix

    async def put(self, name: str, data: bytes = b"") -> None:
        """Write an object in one request."""
        with _as_bucket_error():
            await self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=io.BytesIO(data))

    async def begin_upload(self, name: str) -> "MultipartUpload":
        """Write an object in parts; none of it is seen before the end."""
        key = self._prefix + name
        with _as_bucket_error():
            made = await self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        return MultipartUpload(self._client, self._bucket, key, made["UploadId"])

    async def copy(self, source: str, name: str) -> None:
        """Copy an object inside the store."""
        with _as_bucket_error():
            await self._client.copy_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                CopySource={"Bucket": self._bucket, "Key": self._prefix + source},
            )

    async def size(self, name: str) -> int | None:
        """Bytes of an object, None when there is none."""
        try:
            with _as_bucket_error():
                found = await self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except BucketError as error:
            if error.reason in MISSING_CODES:
                return None
            raise
        return found["ContentLength"]

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        """The bytes of an object, in pieces of at most PIECE."""
        with _as_bucket_error():
            got = await self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        async with got["Body"] as body:
            while True:
                with _as_bucket_error():
                    data = await body.read(READ_SIZE)
                if not data:
                    return
                yield data

    async def delete(self, name: str) -> None:
        """Remove an object, if it is there."""
        with _as_bucket_error():
            await self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    async def pages(self, folder: str) -> AsyncIterator[list[ObjectInfo]]:
        """What is under `folder/`, up to a thousand at once."""
        asked = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/"
        )
        pages = aiter(asked)
        while True:
            with _as_bucket_error():
                page = await anext(pages, None)
            if page is None:
                return
            now, cut = _now(page["ResponseMetadata"]), len(self._prefix)
            yield [
                ObjectInfo(one.get("Key", "")[cut:], one.get("Size", 0), _age(now, one.get("LastModified")))
                for one in page.get("Contents", ())
            ]

    async def incomplete_uploads(self, folder: str, older_than: float) -> list["MultipartUpload"]:
        """Uploads in parts under `folder/` that nobody ended, begun more than so many seconds ago."""
        found: list[MultipartUpload] = []
        asked = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/"
        )
        with _as_bucket_error():
            async for page in asked:
                now = _now(page["ResponseMetadata"])
                found += [
                    MultipartUpload(self._client, self._bucket, one.get("Key", ""), one.get("UploadId", ""))
                    for one in page.get("Uploads", ())
                    if _age(now, one.get("Initiated")) >= older_than
                ]
        return found


class MultipartUpload:
    """An object being written in parts of equal size, the last one excepted."""

    def __init__(self, client: "S3Client", bucket: str, key: str, upload: str) -> None:
        self._client: S3Client = client
        self._bucket: str = bucket
        self._key: str = key
        self._upload: str = upload
        self._completed_parts: list[CompletedPartTypeDef] = []

    async def add_part(self, data: bytes) -> None:
        """The next part."""
        number = len(self._completed_parts) + 1
        with _as_bucket_error():
            made = await self._client.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload, PartNumber=number, Body=io.BytesIO(data)
            )
        self._completed_parts.append({"ETag": made["ETag"], "PartNumber": number})

    async def complete(self) -> None:
        """Make the object of its parts."""
        with _as_bucket_error():
            await self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload,
                MultipartUpload={"Parts": self._completed_parts},
            )

    async def abort(self) -> None:
        """Forget the parts, if they are not an object yet."""
        try:
            with _as_bucket_error():
                await self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)
        except BucketError as error:
            if error.reason not in MISSING_CODES:
                raise


def _now(metadata: "ResponseMetadataTypeDef") -> datetime | None:
    """The store's clock, for ours may differ."""
    said = metadata["HTTPHeaders"].get("date")
    return parsedate_to_datetime(said) if said else None


def _age(now: datetime | None, then: datetime | None) -> float:
    """Seconds; 0 when the store does not say, so that nothing is removed too soon."""
    return max((now - then).total_seconds(), 0) if now and then else 0


@contextmanager
def _as_bucket_error() -> Iterator[None]:
    """The client's many errors as one of ours. Only codes are told: texts may quote a request with its keys."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code in FULL_CODES:
            raise BucketError("The server's file storage is full; the file was not stored.", code) from error
        raise BucketError(f"The server's file storage refuses a request: {code}.", code) from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        kind = type(error).__name__
        raise BucketError(f"The server's file storage cannot be used right now: {kind}.", kind) from error
