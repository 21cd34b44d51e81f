"""A server whose replies are known beforehand: request "#17 ..." gets the stream of plan 17, each chunk a write
of its own at its own time, whoever asks.

    python replay_server.py PORT_FILE LOG_FILE

Its log has a line for each request when it comes, and one with the times of its writes when the reply is done.
"""

import asyncio
import json
import random
import re
import sys
import time

# Kinds of replies that every tool takes for a success, and how often they come among ten.
SOUND = ["plain"] * 4 + ["role", "role", "reasoning", "pairs", "pause", "usage_beside"]
# Kinds that tools judge differently; none of them in the runs side by side.
ODD = ["error_inside", "truncated", "status", "no_finish", "one_token", "silent", "tool"]


def plan(i, chat, odd):
    """The reply to prompt `i`: its status, [(seconds since the request, bytes)], and whether its body ends."""
    dice = random.Random(f"{i} {chat}")
    kind = ODD[(i // 4) % len(ODD)] if odd and i % 4 == 3 else SOUND[i % len(SOUND)]
    n = 1 if kind == "one_token" else dice.randint(12, 40)
    at = dice.uniform(0.08, 0.3)
    chunks = []

    def say(choices, usage=None, **more):
        body = {"id": f"r{i}", "object": "chat.completion.chunk" if chat else "text_completion", "created": 1,
                "model": "m", "choices": choices, **more}
        if usage:
            body["usage"] = usage
        chunks.append((at, b"data: " + json.dumps(body).encode() + b"\n\n"))

    def piece(text="", finish=None, **delta):
        if chat:
            given = {**({"content": text} if text or not delta else {}), **delta}
            return [{"index": 0, "delta": given, "finish_reason": finish}]
        return [{"index": 0, "text": text, "finish_reason": finish}]

    if kind == "status":
        return 503, [(at, b'{"error": {"message": "too much"}}')], True
    usage = {"prompt_tokens": 10 + i, "completion_tokens": n, "total_tokens": 10 + i + n}
    if chat and kind != "silent":
        # A server may send the role before the model runs.
        first, at = at, at * (0.3 if kind == "role" else 1.0)
        say(piece(role="assistant", content=""))
        at = first
    if kind == "silent":
        say([], usage)
        chunks.append((at, b"data: [DONE]\n\n"))
        return 200, chunks, True
    said = 0
    while said < n:
        many = 2 if kind == "pairs" and said + 2 <= n else 1
        words = "".join(f" w{said + k}" for k in range(many))
        last = said + many >= n
        if kind == "tool" and chat:
            call = {"index": 0, "function": {"arguments": words}}
            say(piece(tool_calls=[call]))
        elif kind == "reasoning" and chat and said < n // 2:
            say(piece(reasoning=words))
        else:
            beside = usage if kind == "usage_beside" and last else None
            say(piece(words), beside)
        said += many
        if kind == "error_inside" and said > n // 2:
            chunks.append((at, b'data: {"error": {"message": "out of memory", "code": 500}}\n\n'))
            chunks.append((at, b"data: [DONE]\n\n"))
            return 200, chunks, True
        if kind == "truncated" and said > n // 2:
            return 200, chunks, False
        at += dice.lognormvariate(-4.1, 0.5) * (8 if kind == "pause" and said == n // 2 else 1)
    if kind != "no_finish":
        # vLLM's last choice has empty content; others leave it out.
        say(piece("", "length") if i % 2 or not chat else
            [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    at += 0.02
    say([], usage)
    chunks.append((at, b"data: [DONE]\n\n"))
    return 200, chunks, True


def first_token(i, chat):
    """Which chunk of a sound plan is its first with text."""
    said = [b'" w' in chunk for _, chunk in plan(i, chat, False)[1]]
    return said.index(True)


class Server:
    def __init__(self, log, odd):
        self.log, self.odd = log, odd

    async def request(self, reader, writer):
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        came = asyncio.get_running_loop().time()
        path = head.split(" ", 2)[1]
        length = re.search(r"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if not path.endswith("completions"):
            models = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
            ok = path.startswith(("/v1/models", "/health", "/ping"))
            writer.write(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                         % (b"200 OK" if ok else b"404 Not Found", len(models), models))
            await writer.drain()
            return True
        # The last number: tools may put words before it. A look whether the server is ready has none.
        numbers = re.findall(rb"#(\d+)", body)
        number = int(numbers[-1]) if numbers else 0
        chat = "chat" in path
        wanted = re.search(r"(?im)^x-request-id: *(\S+)", head)
        if numbers:
            print(json.dumps({"id": wanted[1] if wanted else None, "plan": number, "chat": chat, "at": time.time()}),
                  file=self.log, flush=True)
        status, chunks, ends = plan(number, chat, self.odd)
        if status != 200:
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(chunks[0][1]), chunks[0][1]))
            await writer.drain()
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        wrote = []
        for at, chunk in chunks:
            # Absolute times: a late write moves no other.
            await asyncio.sleep(max(0.0, came + at - asyncio.get_running_loop().time()))
            wrote.append(round(1e3 * (asyncio.get_running_loop().time() - came), 3))
            writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if numbers:
            # What the server itself took, from reading the request to each of its writes.
            print(json.dumps({"plan": number, "wrote_ms": wrote}), file=self.log, flush=True)
        if not ends:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def main(port_file, log_file, odd):
    with open(log_file, "a", encoding="utf-8") as log:
        server = await asyncio.start_server(Server(log, odd).request, "127.0.0.1", 0)
        with open(port_file, "w", encoding="utf-8") as file:
            file.write(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], len(sys.argv) > 3))
