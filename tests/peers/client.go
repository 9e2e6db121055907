// A plan of requests by Go's net/http, all over one connection: reads {url, ca, plan: [{method, path,
// headers, body, chunked, expect}]}, writes what came back.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"time"
)

type request struct {
	Method, Path    string
	Headers         map[string]string
	Body            *string
	Chunked, Expect bool
}

type answer struct {
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"`
	Length    int               `json:"length"`
	Digest    string            `json:"digest"`
	Continued bool              `json:"continued"`
	Error     string            `json:"error,omitempty"`
}

// hides the length, so that net/http sends chunks
type stream struct{ io.Reader }

func ask(c *http.Client, url string, q request) (a answer) {
	var body io.Reader
	if q.Body != nil {
		body = strings.NewReader(*q.Body)
	}
	if q.Chunked {
		body = stream{body}
	}
	r, err := http.NewRequest(q.Method, url+q.Path, body)
	if err != nil {
		return answer{Error: err.Error()}
	}
	for k, v := range q.Headers {
		r.Header.Set(k, v)
		r.Close = r.Close || (k == "Connection" && v == "close")
	}
	if q.Expect {
		r.Header.Set("Expect", "100-continue")
		trace := &httptrace.ClientTrace{Got100Continue: func() { a.Continued = true }}
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
	}
	w, err := c.Do(r)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer w.Body.Close()
	got, err := io.ReadAll(w.Body)
	if err != nil {
		return answer{Error: err.Error()}
	}
	a.Status, a.Length, a.Digest = w.StatusCode, len(got), fmt.Sprintf("%x", sha256.Sum256(got))
	a.Headers = map[string]string{}
	for k, v := range w.Header {
		a.Headers[strings.ToLower(k)] = v[0]
	}
	if w.Close {
		a.Headers["connection"] = "close"
	}
	return a
}

func main() {
	var given struct {
		URL, CA string
		Plan    []request
	}
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		panic(err)
	}
	pem, err := os.ReadFile(given.CA)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	c := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ExpectContinueTimeout: 20 * time.Second, MaxConnsPerHost: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
	out := []answer{}
	for _, q := range given.Plan {
		out = append(out, ask(c, given.URL, q))
	}
	json.NewEncoder(os.Stdout).Encode(out)
}
