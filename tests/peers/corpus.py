"""Hostile HTTP messages: what two programs in a row could read differently.

Each hides HIDDEN somewhere: where a reader that was deceived takes it for a request of its own.
refuse: klerod must answer exactly one 4xx or 5xx and close; a number: so many answers, the message
is unusual but has one meaning. None: klerod waits for more and answers nothing of its own accord.
"""

HIDDEN = b"GET /api/v1/raffles?limit=7 HTTP/1.1\r\nHost: localhost\r\n\r\n"
HOST = b"Host: localhost\r\n"
POST = b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
TE = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"
REFUSE = "refuse"


def length(n):
    return b"Content-Length: %d\r\n" % n


def _codings():
    """Transfer-Encoding in the disguises that have deceived servers, alone and with a length."""
    disguises = {
        "xchunked": b"Transfer-Encoding: xchunked\r\n",
        "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
        "identity, chunked": b"Transfer-Encoding: identity, chunked\r\n",
        "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
        "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
        "quoted": b'Transfer-Encoding: "chunked"\r\n',
        "parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "comma": b"Transfer-Encoding: ,chunked\r\n",
        "empty": b"Transfer-Encoding:\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "two lines": TE + b"Transfer-Encoding: identity\r\n",
        "two lines turned": b"Transfer-Encoding: identity\r\n" + TE,
        "the same twice": TE + TE,
        "space before the colon": b"Transfer-Encoding : chunked\r\n",
        "tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
        "folded": b"Transfer-Encoding:\r\n chunked\r\n",
        "folded by a tab": b"Transfer-Encoding:\r\n\tchunked\r\n",
        "hidden behind a bare LF": b"X: y\nTransfer-Encoding: chunked\r\n",
        "hidden behind a bare CR": b"X: y\rTransfer-Encoding: chunked\r\n",
        "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
        "form feed": b"Transfer-Encoding: chunked\x0c\r\n",
        "NUL after": b"Transfer-Encoding: chunked\x00\r\n",
        "NUL in the name": b"Transfer\x00-Encoding: chunked\r\n",
        "leading space": b" Transfer-Encoding: chunked\r\n",
        "no-break space": b"Transfer-Encoding: \xa0chunked\r\n",
        "0xff": b"Transfer-Encoding: chunked\xff\r\n",
        "backspace": b"Transfer-Encoding: chunked\x08\r\n",
        "CR CR LF": b"Transfer-Encoding: chunked\r\r\n",
    }
    for name, field in disguises.items():
        yield f"coding {name}", POST + field + b"\r\n" + END + HIDDEN, REFUSE
        yield f"coding {name}, with a length", POST + length(len(END + HIDDEN)) + field + b"\r\n" + END + HIDDEN, REFUSE
    # one meaning each
    yield "coding in capitals", POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + END + HIDDEN, 2
    yield "coding between tabs", POST + b"Transfer-Encoding:\tchunked\t\r\n\r\n" + END + HIDDEN, 2
    # underscores make another field: no body here
    yield "coding with an underscore", POST + b"Transfer_Encoding: chunked\r\n\r\n" + HIDDEN, 2


def _lengths():
    body = b"{}" + HIDDEN
    yield "length and coding (CL.TE)", POST + length(len(END + HIDDEN)) + TE + b"\r\n" + END + HIDDEN, REFUSE
    yield "coding and length (TE.CL)", POST + TE + length(3) + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + END, REFUSE
    for name, field in {
        "twice, the same": length(2) + length(2),
        "twice, different": length(2) + length(len(body)),
        "twice, different, turned": length(len(body)) + length(2),
        "a list": b"Content-Length: 2, 2\r\n",
        "a list, different": b"Content-Length: 2, %d\r\n" % len(body),
        "signed": b"Content-Length: +2\r\n",
        "negative": b"Content-Length: -2\r\n",
        "hexadecimal": b"Content-Length: 0x2\r\n",
        "with an underscore": b"Content-Length: 1_0\r\n",
        "with a point": b"Content-Length: 2.0\r\n",
        "with an exponent": b"Content-Length: 2e0\r\n",
        "with a letter": b"Content-Length: 2abc\r\n",
        "empty": b"Content-Length:\r\n",
        "a space inside": b"Content-Length: 1 0\r\n",
        "a vertical tab": b"Content-Length: \x0b2\r\n",
        "a NUL": b"Content-Length: 2\x00\r\n",
        "Arabic digits": b"Content-Length: \xd9\xa2\r\n",
        "past 64 bits": b"Content-Length: 18446744073709551618\r\n",
        "past 32 bits": b"Content-Length: 4294967298\r\n",
        "space before the colon": b"Content-Length : 2\r\n",
        "folded": b"Content-Length:\r\n 2\r\n",
        "hidden behind a bare LF": b"X: y\nContent-Length: %d\r\n" % len(body),
        "hidden behind a bare CR": b"X: y\rContent-Length: %d\r\n" % len(body),
    }.items():
        yield f"length {name}", POST + field + b"\r\n" + body, REFUSE
    yield "length with zeros before", POST + b"Content-Length: 0002\r\n\r\n" + body, 2
    yield "length on a GET", GET + length(len(HIDDEN)) + b"\r\n" + HIDDEN, 1
    yield "length 0 on a GET", GET + length(0) + b"\r\n" + HIDDEN, 2
    yield "length longer than the body", POST + length(1000) + b"\r\n{}" + HIDDEN, None


def _chunks():
    head = POST + TE + b"\r\n"
    for name, body in {
        "negative": b"-2\r\n{}\r\n",
        "signed": b"+2\r\n{}\r\n",
        "0x": b"0x2\r\n{}\r\n",
        "leading space": b" 2\r\n{}\r\n",
        "trailing space": b"2 \r\n{}\r\n",
        "trailing tab": b"2\t\r\n{}\r\n",
        "underscore": b"0_2\r\n{}\r\n",
        "past 64 bits": b"10000000000000002\r\n{}\r\n",
        "past 32 bits": b"100000002\r\n{}\r\n",
        "empty size": b"\r\n{}\r\n",
        "not hexadecimal": b"g\r\n{}\r\n",
        "size ended by a bare LF": b"2\n{}\r\n",
        "size ended by a bare CR": b"2\r{}\r\n",
        "size ended by CR and a letter": b"2\rX{}\r\n",
        "data ended by a bare LF": b"2\r\n{}\n",
        "data ended by two letters": b"2\r\n{}XX",
        "data too long": b"2\r\n{} \r\n",
        "extension with a bare LF (TERM.EXT)": b"2;x\nxx\r\n{}\r\n",
        "extension with a bare CR": b"2;x\rxx\r\n{}\r\n",
        "extension with a NUL": b"2;x=\x00\r\n{}\r\n",
        "extension without a name": b"2;\r\n{}\r\n",
        "extension not closed": b'2;x="\r\n{}\r\n',
        "extension that hides a line": b'2;x="\r\n' + END + HIDDEN + b'"\r\n{}\r\n',
        "endless extension": b"2;" + b"x" * 20000 + b"\r\n{}\r\n",
        "size of 40 zeros": b"0" * 40 + b"2\r\n{}\r\n",
    }.items():
        yield f"chunk {name}", head + body + END + HIDDEN, REFUSE
    yield "chunk last ended by a bare LF", head + b"2\r\n{}\r\n0\n\n" + HIDDEN, REFUSE
    yield "chunk last without its empty line", head + b"2\r\n{}\r\n0\r\n" + HIDDEN, REFUSE
    yield "trailer folded", head + b"0\r\nX: a\r\n b\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer without a colon", head + b"0\r\nnonsense\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer with a bare LF", head + b"0\r\nX: a\nY: b\r\n\r\n" + HIDDEN, REFUSE
    # one meaning each: what a trailer says is forgotten
    yield "trailer with a length", head + b"0\r\nContent-Length: 60\r\n\r\n" + HIDDEN, 2
    yield "trailer with a coding", head + b"0\r\nTransfer-Encoding: identity\r\n\r\n" + HIDDEN, 2
    yield "chunk extension", head + b'2;a=b;c="d"\r\n{}\r\n' + END + HIDDEN, 2
    yield "chunk sizes in both cases", head + b"00A\r\n{        }\r\n" + END + HIDDEN, 2


def _lines():
    for name, message in {
        "HTTP/0.9": b"GET /health\r\n",
        "HTTP/1.0": b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.0 with a coding": b"POST /api/v1/auth/login HTTP/1.0\r\n" + HOST + TE + b"\r\n" + END,
        "HTTP/1.2": b"GET /health HTTP/1.2\r\n" + HOST + b"\r\n",
        "HTTP/2.0": b"GET /health HTTP/2.0\r\n" + HOST + b"\r\n",
        "HTTP/11.1": b"GET /health HTTP/11.1\r\n" + HOST + b"\r\n",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "lower-case version": b"GET /health http/1.1\r\n" + HOST + b"\r\n",
        "version without a point": b"GET /health HTTP/11\r\n" + HOST + b"\r\n",
        "two versions": b"GET /health HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n",
        "absolute form": b"GET http://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n",
        "absolute form, another host": b"GET http://other/health HTTP/1.1\r\n" + HOST + b"\r\n",
        "authority form": b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        "tabs between the words": b"GET\t/health\tHTTP/1.1\r\n" + HOST + b"\r\n",
        "two spaces": b"GET  /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "space at the end": b"GET /health HTTP/1.1 \r\n" + HOST + b"\r\n",
        "bare LF everywhere": b"GET /health HTTP/1.1\nHost: localhost\n\n",
        "bare LF after the first line": b"GET /health HTTP/1.1\n" + HOST + b"\r\n",
        "bare LF at the end": GET + b"\n",
        "bare CR as an end": b"GET /health HTTP/1.1\rHost: localhost\r\r",
        "NUL in the target": b"GET /hea\x00lth HTTP/1.1\r\n" + HOST + b"\r\n",
        "control in the target": b"GET /hea\x1flth HTTP/1.1\r\n" + HOST + b"\r\n",
        "NUL in the method": b"GE\x00T /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "no target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
        "fragment": b"GET /health#x HTTP/1.1\r\n" + HOST + b"\r\n",
        "empty lines before": b"\n\n" + GET + b"\r\n",
        "space before": b" " + GET + b"\r\n",
        "no host": b"GET /health HTTP/1.1\r\n\r\n",
        "two hosts": GET + b"Host: other\r\n\r\n",
        "host with a path": b"GET /health HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
        "host with a user": b"GET /health HTTP/1.1\r\nHost: me@localhost\r\n\r\n",
        "host list": b"GET /health HTTP/1.1\r\nHost: localhost, other\r\n\r\n",
        "field folded": GET + b"X: a\r\n b\r\n\r\n",
        "field folded first": b"GET /health HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
        "field without a name": GET + b": a\r\n\r\n",
        "field without a colon": GET + b"nonsense\r\n\r\n",
        "field name with a space": GET + b"X Y: a\r\n\r\n",
        "field name with a bracket": GET + b"X(y): a\r\n\r\n",
        "field name with UTF-8": GET + b"X\xc3\xa9: a\r\n\r\n",
        "field with a NUL": GET + b"X: a\x00b\r\n\r\n",
        "field with a control": GET + b"X: a\x01b\r\n\r\n",
        "field with DEL": GET + b"X: a\x7fb\r\n\r\n",
        "injected request behind a bare LF": GET + b"X: a\n\n" + HIDDEN + b"\r\n",
        "injected request behind bare CRs": GET + b"X: a\r\r" + HIDDEN + b"\r\n",
        "unknown expectation": GET + b"Expect: wonders\r\n\r\n",
    }.items():
        yield name, message + HIDDEN, REFUSE
    yield "pipelined", GET + b"\r\n" + HIDDEN + HIDDEN, 3
    yield "injection, encoded", b"GET /health%0d%0aX:%20y HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "length named by Connection", POST + length(2) + b"Connection: Content-Length\r\n\r\n{}" + HIDDEN, 2
    yield "coding named by Connection", POST + TE + b"Connection: Transfer-Encoding\r\n\r\n" + END + HIDDEN, 2
    yield "upgrade to h2c", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + HIDDEN, 2
    yield "upgrade to websocket", GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + HIDDEN, 2
    yield "expectation", POST + length(2) + b"Expect: 100-continue\r\n\r\n{}" + HIDDEN, 2
    yield "HEAD with a length", b"HEAD /health HTTP/1.1\r\n" + HOST + length(0) + b"\r\n" + HIDDEN, 2


MESSAGES = [*_lengths(), *_codings(), *_chunks(), *_lines()]
