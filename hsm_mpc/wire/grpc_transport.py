"""gRPC with plain bytes: one method per service, no generated code. The only importer of grpc.

A signer never imports this module (architecture: two processes per holder).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.wire.calls import MOST_BYTES, Call, parts_of
from hsm_mpc.wire.transport import Answer

HOLDER: Final = "hsm_mpc.v1.Holder"
COORDINATOR: Final = "hsm_mpc.v1.Coordinator"

LIBRARY: Final = Path(grpc.__file__).parent
"""Of which gRPC reads parts when they are first used."""

_METHOD: Final = "Call"
_LONGEST_SOCKET_PATH: Final = 107
"""Bytes; gRPC refuses longer ones."""
_WAITING_PER_THREAD: Final = 4
"""Calls beyond that are refused at once: else whoever dials could fill the memory."""
_SIZES: Final = (
    ("grpc.max_send_message_length", MOST_BYTES + 1024),
    ("grpc.max_receive_message_length", MOST_BYTES + 1024),
)
_RECONNECTS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
"""A holder that starts again is found again within a second; gRPC alone would wait for minutes."""


def socket_address(path: Path) -> str:
    """The gRPC address of a unix socket.

    Raises:
        BadConfig: the path is longer than a socket's path can be.
    """
    if len(str(path).encode()) > _LONGEST_SOCKET_PATH:
        raise BadConfig(f"socket path {path} is longer than {_LONGEST_SOCKET_PATH} bytes")
    return f"unix:{path}"


class GrpcServer:
    """Serves one service at one address until `stop`."""

    def __init__(self, service: str, address: str, answer: Answer, threads: int) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="call"),
            options=_SIZES,
            maximum_concurrent_rpcs=_WAITING_PER_THREAD * threads,
        )
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
            lambda call, _: answer(call)
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {_METHOD: handler}),)
        )
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as refused:
            raise BackendError(f"cannot listen at {address}", retryable=False) from refused
        self._server.start()

    def stop(self) -> None:
        """Refuse new calls, let those under way end within a second."""
        self._server.stop(1).wait()


class GrpcTransport:
    """A `Transport` over gRPC."""

    def __init__(self, service: str, address: str) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address, options=(*_SIZES, *_RECONNECTS))
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            f"/{service}/{_METHOD}"
        )

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        """As `Transport.call`."""
        try:
            answer: bytes = self._call(Call(method, tuple(parts)).to_bytes(), timeout=timeout)
        except grpc.RpcError as failure:
            raise BackendError(
                f"{self._address} does not answer: {failure.code().name}"
            ) from failure
        except ValueError as closed:
            raise BackendError(f"the link to {self._address} is closed") from closed
        return parts_of(answer)

    def wait(self, patience: float) -> None:
        """Wait up to `patience` seconds for a peer that starts just now.

        Raises:
            BackendError: nobody listens there.
        """
        try:
            grpc.channel_ready_future(self._channel).result(patience)
        except grpc.FutureTimeoutError as silent:
            raise BackendError(f"nobody listens at {self._address}") from silent

    def close(self) -> None:
        """As `Transport.close`."""
        self._channel.close()
