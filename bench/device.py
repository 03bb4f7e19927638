"""A JBD board behind TCP, for measurements: `python -m bench.device PORT HANG_S` answers each request after HANG_S seconds."""

import asyncio
import sys

from bench.node import Pack

REQUEST_BYTES = 7


async def serve(port: str, hang_s: str) -> None:
    """Answer reads until the process is ended."""
    pack = Pack(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await reader.readexactly(REQUEST_BYTES)
                if float(hang_s):
                    await asyncio.sleep(float(hang_s))
                writer.write(pack.respond(request))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", int(port))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
