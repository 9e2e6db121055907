"""Hostile HTTP messages: what two programs in a row could read differently.

Each hides HIDDEN somewhere: where a reader that was deceived takes it for a request of its own.
refuse: klerod must answer exactly one 4xx or 5xx and close; a number: so many answers, the message
is unusual but has one meaning. None: klerod waits for more and answers nothing of its own accord.
"""

import pathlib
import re

LIMIT = {name: int(n) for name, n in re.findall(
    r"^#define HTTP_(\w+)\s+(\d+)", (pathlib.Path(__file__).resolve().parents[2] / "daemon/net/http.h").read_text(), re.M)}
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
        "cow": b"Transfer-Encoding: cow\r\n",
        "comma after": b"Transfer-Encoding: chunked,\r\n",
        "in a list, folded in the middle": b"Transfer-Encoding: identity,\r\n chunked\r\n",
        "apostrophes": b"Transfer-Encoding: 'chunked'\r\n",
        "semicolon after": b"Transfer-Encoding: chunked;\r\n",
        "folded inside the word": b"Transfer-Encoding: chu\r\n nked\r\n",
        "unknown, then chunked on a line of its own": b"Transfer-Encoding: cow\r\n" + TE,
        "chunked, then nothing on a line of its own": TE + b"Transfer-Encoding:\r\n",
        "chunked and deflate": b"Transfer-Encoding: deflate, chunked\r\n",
        "long s": "Transfer-Encoding: chunked\u017f\r\n".encode(),
        "space in the name": b"Transfer Encoding: chunked\r\n",
        "NUL before the name": b"\x00Transfer-Encoding: chunked\r\n",
        "NUL after the name": b"Transfer-Encoding\x00: chunked\r\n",
        "no-break space after the name": b"Transfer-Encoding\xa0: chunked\r\n",
        "semicolon after the name": b"Transfer-Encoding;: chunked\r\n",
        "two colons before": b"X: y\r\n: Transfer-Encoding: chunked\r\n",
        "folded onto another field": b"X: y\r\n Transfer-Encoding: chunked\r\n",
        "form feed before the colon": b"Transfer-Encoding\x0c: chunked\r\n",
    }
    for name, field in disguises.items():
        yield f"coding {name}", POST + field + b"\r\n" + END + HIDDEN, REFUSE
        yield f"coding {name}, with a length", POST + length(len(END + HIDDEN)) + field + b"\r\n" + END + HIDDEN, REFUSE
    # one meaning each
    yield "coding in capitals", POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + END + HIDDEN, 2
    yield "coding between tabs", POST + b"Transfer-Encoding:\tchunked\t\r\n\r\n" + END + HIDDEN, 2
    yield "coding without a space", POST + b"Transfer-Encoding:chunked\r\n\r\n" + END + HIDDEN, 2
    yield "coding on a GET", GET + TE + b"\r\n" + END + HIDDEN, 2
    yield "coding on a GET, HIDDEN in its chunk", GET + TE + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + END, 1
    yield "coding on a HEAD", b"HEAD /health HTTP/1.1\r\n" + HOST + TE + b"\r\n" + END + HIDDEN, 2
    yield "coding that a client would take (TE)", GET + b"TE: chunked, trailers\r\n\r\n" + HIDDEN, 2
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
        "twice, the same, of another case": length(2) + b"content-length: 2\r\n",
        "twice, one of them empty": length(2) + b"Content-Length:\r\n",
        "twice, the same, zeros before one": length(2) + b"Content-Length: 02\r\n",
        "three times": length(2) * 3,
        "a list with nothing behind": b"Content-Length: 2,\r\n",
        "a list of one before": b"Content-Length: ,2\r\n",
        "signed nought": b"Content-Length: +0\r\n",
        "minus nought": b"Content-Length: -0\r\n",
        "hexadecimal nought": b"Content-Length: 0x0\r\n",
        "octal": b"Content-Length: 0o2\r\n",
        "a semicolon": b"Content-Length: 2;\r\n",
        "quoted": b'Content-Length: "2"\r\n',
        "a no-break space": b"Content-Length: \xa02\r\n",
        "wide digits": b"Content-Length: \xef\xbc\x92\r\n",
        "a tab inside": b"Content-Length: 1\t0\r\n",
        "CR CR LF": b"Content-Length: 2\r\r\n",
        "the largest of 63 bits": b"Content-Length: 9223372036854775807\r\n",
        "past 63 bits": b"Content-Length: 9223372036854775808\r\n",
        "past 128 bits": b"Content-Length: 340282366920938463463374607431768211458\r\n",
        "forty zeros before": b"Content-Length: " + b"0" * 40 + b"2\r\n",
        "past the limit by one": length(LIMIT["BODY_MAX"] + 1),
        "tab before the colon": b"Content-Length\t: 2\r\n",
        "space in the name": b"Content Length: 2\r\n",
        "NUL in the name": b"Content-\x00Length: 2\r\n",
        "no-break space after the name": b"Content-Length\xa0: 2\r\n",
        "folded onto another field": b"X: y\r\n Content-Length: %d\r\n" % len(body),
        "hidden behind a bare LF": b"X: y\nContent-Length: %d\r\n" % len(body),
        "hidden behind a bare CR": b"X: y\rContent-Length: %d\r\n" % len(body),
    }.items():
        yield f"length {name}", POST + field + b"\r\n" + body, REFUSE
    yield "length with zeros before", POST + b"Content-Length: 0002\r\n\r\n" + body, 2
    yield "length between tabs", POST + b"Content-Length:\t2\t \r\n\r\n" + body, 2
    yield "length in small letters", POST + b"content-length:2\r\n\r\n" + body, 2
    yield "length with an underscore in the name", POST + b"Content_Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 2
    yield "length at the limit", POST + length(LIMIT["BODY_MAX"]) + b"\r\n" + HIDDEN, None
    yield "length with a line's end between the requests", POST + length(2) + b"\r\n{}\r\n" + HIDDEN, 2
    for name, head in {
        "of no path": b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n",
        "of another method": b"PUT /health HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n",
        "without a token": b"POST /api/v1/wallet/deposit HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nIdempotency-Key: k\r\n",
        "of another type": b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n",
        "that moved": b"POST /auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n",
        "of a preflight": b"OPTIONS /health HTTP/1.1\r\n" + HOST,
        "of a deletion": b"DELETE /api/v1/me HTTP/1.1\r\n" + HOST,
    }.items():
        # refused by what the head says: its body must not be read as a request
        yield f"refused, {name}, HIDDEN as its body", head + length(len(HIDDEN)) + b"\r\n" + HIDDEN, 1
        yield f"refused, {name}, HIDDEN behind its body", head + length(2) + b"\r\n{}" + HIDDEN, 2
        yield f"refused, {name}, HIDDEN in a chunk", head + TE + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + END, 1
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
        "two signs": b"+-2\r\n{}\r\n",
        "sign and 0x": b"+0x2\r\n{}\r\n",
        "leading tab": b"\t2\r\n{}\r\n",
        "size of eight f": b"ffffffff\r\n{}\r\n",
        "size of sixteen f": b"ffffffffffffffff\r\n{}\r\n",
        "size past the limit by one": b"%x\r\n{}\r\n" % (LIMIT["BODY_MAX"] + 1),
        "size with a NUL": b"2\x00\r\n{}\r\n",
        "size with a point": b"2.\r\n{}\r\n",
        "size with a comma": b"2,2\r\n{}\r\n",
        "size in wide digits": b"\xef\xbc\x92\r\n{}\r\n",
        "size ended by CR CR LF": b"2\r\r\n{}\r\n",
        "size ended by LF CR": b"2\n\r{}\r\n",
        "size twice": b"2 2\r\n{}\r\n",
        "data ended by CR only": b"2\r\n{}\r",
        "data ended by nothing": b"2\r\n{}",
        "data ended by an empty line": b"2\r\n{}\r\n\r\n",
        "data ended by two spaces": b"2\r\n{}  \r\n",
        "data too short": b"3\r\n{}\r\n",
        "extension behind a space": b"2 ;a=b\r\n{}\r\n",
        "extension behind a semicolon and a space": b"2; a=b\r\n{}\r\n",
        "extension with spaces about its sign": b"2;a = b\r\n{}\r\n",
        "extension of a byte above 127": b"2;\x85\r\n{}\r\n",
        "extension with an escaped quote": b'2;a="\\""\r\n{}\r\n',
        "extension quoted, with a bare LF": b'2;a="\n"\r\n{}\r\n',
        "extension with a colon": b"2;a:b\r\n{}\r\n",
        "extension with a tab": b"2;a\t\r\n{}\r\n",
        "extension past the limit by one": b"2;" + b"x" * (LIMIT["CHUNK_MAX"] - 1) + b"\r\n{}\r\n",
        "size of 40 zeros": b"0" * 40 + b"2\r\n{}\r\n",
    }.items():
        yield f"chunk {name}", head + body + END + HIDDEN, REFUSE
    yield "chunk last ended by a bare LF", head + b"2\r\n{}\r\n0\n\n" + HIDDEN, REFUSE
    yield "chunk last without its empty line", head + b"2\r\n{}\r\n0\r\n" + HIDDEN, REFUSE
    yield "trailer folded", head + b"0\r\nX: a\r\n b\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer without a colon", head + b"0\r\nnonsense\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer with a bare LF", head + b"0\r\nX: a\nY: b\r\n\r\n" + HIDDEN, REFUSE
    yield "chunk last, CR and the next request", head + b"0\r\n\r" + HIDDEN, REFUSE
    yield "chunk last ended by a bare CR", head + b"0\r\r" + HIDDEN, REFUSE
    yield "chunk last with a sign", head + b"-0\r\n\r\n" + HIDDEN, REFUSE
    yield "chunk last as 0x0", head + b"0x0\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer with a space before the colon", head + b"0\r\nX : a\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer without a name", head + b"0\r\n: a\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer with a NUL", head + b"0\r\nX: \x00\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer with a bare CR", head + b"0\r\nX: a\rY: b\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer that begins with a space", head + b"0\r\n X: a\r\n\r\n" + HIDDEN, REFUSE
    yield "trailer too long", head + b"0\r\nX: " + b"a" * LIMIT["TRAILER_MAX"] + b"\r\n\r\n" + HIDDEN, REFUSE
    yield "trailers too many", head + b"0\r\n" + b"X: a\r\n" * (LIMIT["TRAILERS_MAX"] + 1) + b"\r\n" + HIDDEN, REFUSE
    # one meaning each: what a trailer says is forgotten
    yield "trailers, as many as may be", head + b"0\r\n" + b"X: a\r\n" * LIMIT["TRAILERS_MAX"] + b"\r\n" + HIDDEN, 2
    yield "trailer with a host", head + b"0\r\nHost: other\r\nAuthorization: Bearer x\r\n\r\n" + HIDDEN, 2
    yield "trailer that would close", head + b"0\r\nConnection: close\r\n\r\n" + HIDDEN, 2
    yield "chunk last of three noughts", head + b"000\r\n\r\n" + HIDDEN, 2
    yield "chunk last with an extension", head + b"0;a\r\n\r\n" + HIDDEN, 2
    yield "chunk extension at the limit", head + b"2;" + b"x" * (LIMIT["CHUNK_MAX"] - 2) + b"\r\n{}\r\n" + END + HIDDEN, 2
    yield "chunk that holds a whole request", head + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + END + HIDDEN, 2
    yield "chunk that holds what ends a body", head + b"5\r\n0\r\n\r\n\r\n" + END + HIDDEN, 2
    yield "chunks of one byte", head + b"".join(b"1\r\n%c\r\n" % b for b in b'{"a":"b"}') + END + HIDDEN, 2
    yield "chunks that never end", head + b"2\r\n{}\r\n", None
    yield "a line's end behind the last chunk", head + b"2\r\n{}\r\n" + END + b"\r\n" + HIDDEN, 2
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
        "status line": b"HTTP/1.1 100 Continue\r\n" + HOST + b"\r\n",
        "lower-case method": b"get /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "method TRACE": b"TRACE /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "method of 17 letters": b"A" * 17 + b" /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "method with a bracket": b"GET( /health HTTP/1.1\r\n" + HOST + b"\r\n",
        "HTTP/1.1 with a zero behind": b"GET /health HTTP/1.10\r\n" + HOST + b"\r\n",
        "HTTP/1.1 in wide digits": b"GET /health HTTP/\xef\xbc\x91.1\r\n" + HOST + b"\r\n",
        "TLS handshake inside": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "absolute form of another scheme": b"GET ftp://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n",
        "target with a backslash": b"GET /health\\x HTTP/1.1\r\n" + HOST + b"\r\n",
        "target with a space, encoded badly": b"GET /hea%2 HTTP/1.1\r\n" + HOST + b"\r\n",
        "target of bytes above 127": b"GET /\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
        "target that begins with nothing": b"GET health HTTP/1.1\r\n" + HOST + b"\r\n",
        "target *": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
        "target past the limit": b"GET /" + b"a" * LIMIT["TARGET_MAX"] + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        "field past the limit": GET + b"X: " + b"a" * (LIMIT["LINE_MAX"] - 2) + b"\r\n\r\n",
        "fields past the limit": GET + b"X: a\r\n" * LIMIT["FIELDS_MAX"] + b"\r\n",
        "head past the limit": GET + (b"X: " + b"a" * 4000 + b"\r\n") * 5 + b"\r\n",
        "two empty lines before": b"\r\n\r\n" + GET + b"\r\n",
        "absolute form, https, another host": b"GET https://other/health HTTP/1.1\r\n" + HOST + b"\r\n",
        "absolute form, https, a user": b"GET https://me@localhost/health HTTP/1.1\r\n" + HOST + b"\r\n",
        "empty host": b"GET /health HTTP/1.1\r\nHost:\r\n\r\n",
        "host with a port that is none": b"GET /health HTTP/1.1\r\nHost: localhost:http\r\n\r\n",
        "host with a space": b"GET /health HTTP/1.1\r\nHost: local host\r\n\r\n",
        "host with a NUL": b"GET /health HTTP/1.1\r\nHost: localhost\x00.other\r\n\r\n",
        "host of bytes above 127": b"GET /health HTTP/1.1\r\nHost: l\xc3\xb6calhost\r\n\r\n",
        "two hosts, the same": GET + HOST + b"\r\n",
        "two hosts, one of another case": GET + b"hOST: localhost\r\n\r\n",
        "host hidden by a fold": b"GET /health HTTP/1.1\r\nX: y\r\n Host: other\r\n" + HOST + b"\r\n",
        "field name with DEL": GET + b"X\x7f: a\r\n\r\n",
        "field name with a slash": GET + b"X/Y: a\r\n\r\n",
        "field name with an at sign": GET + b"X@Y: a\r\n\r\n",
        "field name of a NUL": GET + b"\x00: a\r\n\r\n",
        "field name in quotes": GET + b'"X": a\r\n\r\n',
        "field name, then a bare CR": GET + b"X\r: a\r\n\r\n",
        "field ended by CR CR LF": GET + b"X: a\r\r\n\r\n",
        "field ended by LF CR": GET + b"X: a\n\r\r\n",
        "end of the head by CR CR LF": GET + b"\r\r\n",
        "expectation, twice": POST + length(2) + b"Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n{}",
        "expectation in a list": POST + length(2) + b"Expect: 100-continue, wonders\r\n\r\n{}",
        "unknown expectation": GET + b"Expect: wonders\r\n\r\n",
    }.items():
        yield name, message + HIDDEN, REFUSE
    yield "an empty line before", b"\r\n" + GET + b"\r\n" + HIDDEN, 2
    yield "absolute form, https", b"GET https://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "target at the limit", b"GET /" + b"a" * (LIMIT["TARGET_MAX"] - 1) + b" HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "field at the limit", GET + b"X: " + b"a" * (LIMIT["LINE_MAX"] - 3) + b"\r\n\r\n" + HIDDEN, 2
    yield "fields at the limit", GET + b"X: a\r\n" * (LIMIT["FIELDS_MAX"] - 1) + b"\r\n" + HIDDEN, 2
    for name, field in {
        "odd bytes in the name that are a token": b"!#$%&'*+-.^_`|~09: a\r\n",
        "bytes above 127 in the value": b"X: \x80\xff\xc3\xa9\r\n",
        "an empty value": b"X:\r\n",
        "a value of spaces": b"X:  \t \r\n",
        "a colon in the value": b"X: Transfer-Encoding: chunked\r\n",
        "a method to override": b"X-HTTP-Method-Override: POST\r\nX-Method-Override: DELETE\r\n",
        "a target to override": b"X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\n",
        "a client's address": b"X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n",
        "a forwarded host": b"X-Forwarded-Host: other\r\nX-Forwarded-Proto: http\r\n",
        "ranges": b"Range: bytes=0-1,2-3,-5\r\nIf-Range: x\r\n",
        "a date": b"If-Modified-Since: Sat, 21 Nov 2099 00:00:00 GMT\r\n",
        "a connection to keep": b"Connection: keep-alive\r\nKeep-Alive: timeout=600\r\nProxy-Connection: close\r\n",
        "a connection of odd words": b"Connection: clos\xc3\xa9, ,\r\n",
        "the host named by Connection": b"Connection: Host, Authorization\r\n",
        "hops": b"Max-Forwards: 0\r\nVia: 1.0 x\r\n",
        "an upgrade to TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.3\r\n",
        "an upgrade to h2": b"Connection: Upgrade\r\nUpgrade: h2\r\n",
        "an expectation without a body": b"Expect: 100-Continue\r\n",
    }.items():
        yield f"with {name}", GET + field + b"\r\n" + HIDDEN, 2
    yield "connection to be closed", GET + b"Connection: close\r\n\r\n" + HIDDEN, 1
    yield "connection to be closed, in a list", GET + b"Connection: keep-alive, CLOSE\r\n\r\n" + HIDDEN, 1
    yield "connection to be closed, on two lines", GET + b"Connection: keep-alive\r\nConnection: close\r\n\r\n" + HIDDEN, 1
    yield "upgrade to h2c with a body", POST + length(2) + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n{}" + HIDDEN, 2
    yield "upgrade to h2c, then its preface", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, 2
    yield "host with a port", b"GET /health HTTP/1.1\r\nHost: LOCALHOST:443\r\n\r\n" + HIDDEN, 2
    yield "host of six", b"GET /health HTTP/1.1\r\nHost: [::1]:443\r\n\r\n" + HIDDEN, 2
    yield "expectation, body withheld", POST + length(2) + b"Expect: 100-continue\r\n\r\n", None
    yield "HEAD with a body", b"HEAD /health HTTP/1.1\r\n" + HOST + length(2) + b"Content-Type: application/json\r\n\r\n{}" + HIDDEN, 2
    yield "HEAD of no path", b"HEAD /nowhere HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "HEAD of what is large", b"HEAD /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "HEAD of what cannot be read", b"HEAD /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "what moved, behind it a request", b"GET /auth/me HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "twenty pipelined", (GET + b"\r\n") * 20 + HIDDEN, 21
    yield "twenty pipelined, the tenth refused", (GET + b"\r\n") * 9 + GET + b"X : y\r\n\r\n" + HIDDEN * 10, 10
    yield "pipelined", GET + b"\r\n" + HIDDEN + HIDDEN, 3
    yield "injection, encoded", b"GET /health%0d%0aX:%20y HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, 2
    yield "length named by Connection", POST + length(2) + b"Connection: Content-Length\r\n\r\n{}" + HIDDEN, 2
    yield "coding named by Connection", POST + TE + b"Connection: Transfer-Encoding\r\n\r\n" + END + HIDDEN, 2
    yield "upgrade to h2c", GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n" + HIDDEN, 2
    yield "upgrade to websocket", GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + HIDDEN, 2
    yield "expectation", POST + length(2) + b"Expect: 100-continue\r\n\r\n{}" + HIDDEN, 2
    yield "HEAD with a length", b"HEAD /health HTTP/1.1\r\n" + HOST + length(0) + b"\r\n" + HIDDEN, 2


MESSAGES = [*_lengths(), *_codings(), *_chunks(), *_lines()]
