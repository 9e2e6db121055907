"""A plan of requests by httpx, requests or aiohttp, all over one connection: reads {kind, url, ca,
plan: [{method, path, headers, body, chunked}]}, writes what came back."""

import asyncio
import hashlib
import json
import ssl
import sys


def told(status, headers, body):
    return {"status": status, "headers": {k.lower(): v for k, v in headers.items()}, "length": len(body),
            "digest": hashlib.sha256(body).hexdigest()}


def pieces(q):
    for c in q["body"]:
        yield c.encode()


async def apieces(q):
    for c in q["body"]:
        yield c.encode()


def content(q, chunks):
    if q.get("body") is None:
        return None
    return chunks(q) if q.get("chunked") else q["body"].encode()


def by_httpx(given):
    import httpx
    with httpx.Client(base_url=given["url"], verify=given["ca"], timeout=30) as c:
        for q in given["plan"]:
            r = c.request(q["method"], q["path"], headers=q["headers"], content=content(q, pieces))
            yield told(r.status_code, r.headers, r.content)


def by_requests(given):
    import requests
    with requests.Session() as s:
        s.trust_env, s.verify = False, given["ca"]  # an environment's own authorities would come first
        for q in given["plan"]:
            r = s.request(q["method"], given["url"] + q["path"], headers=q["headers"], data=content(q, pieces), allow_redirects=False, timeout=30)
            yield told(r.status_code, r.headers, r.content)


async def all_of_aiohttp(given):
    import aiohttp
    out = []
    tls = ssl.create_default_context(cafile=given["ca"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=1)) as s:
        for q in given["plan"]:
            async with s.request(q["method"], given["url"] + q["path"], headers=q["headers"], data=content(q, apieces),
                                 expect100=bool(q.get("expect")), allow_redirects=False) as r:
                out.append(told(r.status, r.headers, await r.read()))
    return out


def main():
    given = json.load(sys.stdin)
    if given["kind"] == "aiohttp":
        out = asyncio.run(all_of_aiohttp(given))
    else:
        out = list({"httpx": by_httpx, "requests": by_requests}[given["kind"]](given))
    json.dump(out, sys.stdout)


main()
