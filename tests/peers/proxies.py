"""nginx, haproxy, apache2 and varnish as they stand in front of an appliance: each speaks plain HTTP/1.1
to clients on 127.0.0.1, TLS 1.3 with the certificate verified to klerod, keeps connections to it
open, retries nothing, and writes "status request-id" into a log for every request that it
finished; the id is "-" where the answer was not klerod's."""

import os
import pathlib
import re
import socket
import subprocess
import time

import klero

ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

NGINX = """
pid {dir}/pid; error_log {dir}/error.log; worker_processes 1; daemon off;
events {{ }}
http {{
    log_format ids '$status $upstream_http_x_request_id';
    access_log {dir}/access.log ids;
    client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    upstream klero {{ server 127.0.0.1:{backend}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://klero; proxy_http_version 1.1;
            proxy_set_header Host localhost; proxy_set_header Connection "";
            proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost;
            proxy_ssl_protocols TLSv1.3; proxy_next_upstream off;
            {more}
        }}
    }}
}}
"""

HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    log global
    retries 0
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend f
    bind 127.0.0.1:{port}
    log-format "%ST %[var(txn.id)]"
    http-response set-var(txn.id) res.hdr(X-Request-Id)
    default_backend b
backend b
    server s 127.0.0.1:{backend} ssl verify required ca-file {ca} verifyhost localhost sni str(localhost)
"""

# what Varnish, which speaks no TLS to backends, is given for that: bytes in, TLS out
TUNNEL = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen t
    bind 127.0.0.1:{tunnel}
    server s 127.0.0.1:{backend} ssl verify required ca-file {ca} verifyhost localhost sni str(localhost)
"""

APACHE = """
ServerRoot {dir}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {dir}/pid
ErrorLog {dir}/error.log
DefaultRuntimeDir {dir}
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
LogFormat "%>s %{{X-Request-Id}}o" ids
CustomLog {dir}/access.log ids
SSLProxyEngine on
SSLProxyVerify require
SSLProxyCACertificateFile {ca}
SSLProxyProtocol TLSv1.3
ProxyPass / https://localhost:{backend}/ keepalive=On retry=0 {more}
"""

VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{tunnel}"; .host_header = "localhost"; }}
sub vcl_recv {{ return (pass); }}
"""


class Proxy:
    """One of them, started; ended by end()."""

    def __init__(self, kind, appliance, folder, more=""):
        self.kind, self.dir, self.running = kind, pathlib.Path(folder), []
        self.dir.chmod(0o755)
        self.ports = {"port": klero.free_port(), "tunnel": klero.free_port()}
        self.fill = {"dir": folder, "backend": appliance.port, "ca": appliance.ca, "more": more,
                     "modules": "/usr/lib/apache2/modules", **self.ports}
        self.port = self.ports["port"]
        self.log = self.dir / "access.log"
        getattr(self, "_" + kind)()
        self._wait(self.port)

    def _file(self, name, text):
        path = self.dir / name
        path.write_text(text.format(**self.fill))
        return path

    def _run(self, *argv, log=None):
        out = open(log or self.dir / "out.log", "ab")
        self.running.append(subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                                             stderr=open(self.dir / "err.log", "ab"), cwd=self.dir))
        out.close()

    def _nginx(self):
        self._run("/usr/sbin/nginx", "-e", self.dir / "error.log", "-c", self._file("nginx.conf", NGINX))

    def _haproxy(self):
        self._run("/usr/sbin/haproxy", "-db", "-f", self._file("haproxy.cfg", HAPROXY), log=self.log)

    def _apache2(self):
        self._run("/usr/sbin/apache2", "-f", self._file("apache2.conf", APACHE), "-DFOREGROUND")

    def _varnish(self):
        self._run("/usr/sbin/haproxy", "-db", "-f", self._file("tunnel.cfg", TUNNEL))
        self._wait(self.ports["tunnel"])
        self._run("/usr/sbin/varnishd", "-F", "-j", "none", "-n", self.dir / "v", "-s", "malloc,16m", "-a", f"127.0.0.1:{self.port}",
                  "-T", "none", "-p", "max_retries=0", "-f", self._file("varnish.vcl", VARNISH))
        self._wait(self.port)
        self._run("/usr/bin/varnishncsa", "-b", "-n", self.dir / "v", "-F", "%s %{X-Request-Id}o", log=self.log)
        # its first line says that it is reading
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while s.recv(65536):
                    pass
            if self.log.exists() and self.log.stat().st_size > 0:
                time.sleep(1)  # for the lines that lag behind
                return
            time.sleep(0.1)

    def _wait(self, port):
        for _ in range(200):
            dead = [p.args[0] for p in self.running if p.poll() is not None]
            if dead:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.end()
        raise klero.Failure(f"{self.kind} did not start: {self.errors()}")

    def errors(self):
        return "".join(p.read_text(errors="replace")[-1500:] for p in self.dir.glob("*err*.log"))

    def forwarded(self):
        """(answers of klerod relayed, requests forwarded) so far, by the proxy's own account."""
        log = self.log.read_bytes() if self.log.exists() else b""
        relayed = len(ID.findall(log))
        # Varnish's log is of the requests to the backend: it sends a head before it has seen the
        # body, and hangs up without reading the answer when the body is malformed or never ends.
        return relayed, log.count(b"\n") if self.kind == "varnish" else relayed

    def end(self):
        for p in reversed(self.running):
            if p.poll() is None:
                p.terminate()
        for p in self.running:
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.running = []


KINDS = ("nginx", "haproxy", "apache2", "varnish")


def lacking():
    """The programs that are not here."""
    return [p for p in ("nginx", "haproxy", "apache2", "varnishd") if not os.access("/usr/sbin/" + p, os.X_OK)]
