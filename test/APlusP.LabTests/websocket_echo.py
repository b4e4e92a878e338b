#!/usr/bin/env python3
"""A WebSocket server that says what it hears, and a client that says 1000 things, by a library that others keep.

websocket_echo.py server ADDRESS PORT
websocket_echo.py client NAME ADDRESS PORT
"""

import asyncio
import sys

import websockets

MESSAGES = 1000


async def echo(socket, _path=None):
    async for message in socket:
        await socket.send(message)


async def serve(address, port):
    async with websockets.serve(echo, address, port):
        await asyncio.Future()


async def talk(name, address, port):
    async with websockets.connect(f"ws://{name}:{port}/", host=address, port=port) as socket:
        for number in range(MESSAGES):
            message = str(number) * 50
            await socket.send(message)
            assert await asyncio.wait_for(socket.recv(), 20) == message
        await socket.close()
        print(f"{MESSAGES} messages came back, closed by {socket.close_code}")


if sys.argv[1] == "server":
    asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
else:
    asyncio.run(talk(sys.argv[2], sys.argv[3], int(sys.argv[4])))
