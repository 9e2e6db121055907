// Judges a log (c2sp.org/tlog-tiles), in a folder or as it is served over HTTPS, by Go's own packages:
// the checkpoint by sumdb/note, all hash tiles against its root by sumdb/tlog's TileHashReader, entries against the leaf hashes, and for
// some leaves and older sizes proofs of inclusion and consistency. Says nothing and ends with 0, or
// says why not and ends with 1.
//
//	judge DIR|URL VKEY     SSL_CERT_FILE: whom to trust as a server, in PEM
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...interface{}) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// sumdb's paths have the height of a tile before the level, and three digits in its number as ours
func path(t tlog.Tile) string {
	return strings.Replace(t.Path(), "tile/8/", "tile/", 1)
}

func read(where, name string) ([]byte, error) {
	if !strings.HasPrefix(where, "https://") {
		return os.ReadFile(filepath.Join(where, name))
	}
	answer, err := http.Get(where + "/" + name)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		return nil, fmt.Errorf("%s: %s", name, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

type files struct{ dir string }

func (f files) Height() int                                 { return 8 }
func (f files) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, t := range tiles {
		data, err := read(f.dir, path(t))
		if err != nil {
			return nil, err
		}
		if len(data) != t.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path(t), len(data))
		}
		all = append(all, data)
	}
	return all, nil
}

// origin, size, root: a checkpoint's text, which sumdb's own ParseTree has with another first line
func parse(text, origin string) tlog.Tree {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		fail("not a checkpoint of %s", origin)
	}
	n, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != lines[1] {
		fail("size: %v", err)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		fail("root: %v", err)
	}
	tree := tlog.Tree{N: n}
	copy(tree.Hash[:], root)
	return tree
}

func entries(dir string, tree tlog.Tree, leaves []tlog.Hash) {
	for n := int64(0); n < tree.N; n += 256 {
		w := tree.N - n
		if w > 256 {
			w = 256
		}
		// the number and width of a level 0 tile, in another folder
		t := tlog.Tile{H: 8, L: 0, N: n / 256, W: int(w)}
		name := strings.Replace(path(t), "tile/0/", "tile/entries/", 1)
		data, err := read(dir, name)
		if err != nil {
			fail("%v", err)
		}
		for i := n; i < n+w; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				fail("%s is truncated", name)
			}
			size := int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:2+size]) != leaves[i] {
				fail("%s: entry %d is not the leaf of its tile", name, i)
			}
			data = data[2+size:]
		}
		if len(data) != 0 {
			fail("%s has more than its entries", name)
		}
	}
}

func proofs(tree tlog.Tree, r tlog.HashReader, leaves []tlog.Hash) {
	step := tree.N/7 + 1
	for i := int64(0); i < tree.N; i += step {
		p, err := tlog.ProveRecord(tree.N, i, r)
		if err == nil {
			err = tlog.CheckRecord(p, tree.N, tree.Hash, i, leaves[i])
		}
		if err != nil {
			fail("inclusion of %d: %v", i, err)
		}
		old, err := tlog.TreeHash(i+1, r)
		if err != nil {
			fail("root of %d: %v", i+1, err)
		}
		c, err := tlog.ProveTree(tree.N, i+1, r)
		if err == nil {
			err = tlog.CheckTree(c, tree.N, tree.Hash, i+1, old)
		}
		if err != nil {
			fail("consistency from %d: %v", i+1, err)
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: judge DIR|URL VKEY")
		os.Exit(2)
	}
	dir := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fail("key: %v", err)
	}
	msg, err := read(dir, "checkpoint")
	if err != nil {
		fail("%v", err)
	}
	signed, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		fail("checkpoint: %v", err)
	}
	tree := parse(signed.Text, verifier.Name())
	if tree.N == 0 { // which the library cannot read hashes of
		if tree.Hash != sha256.Sum256(nil) {
			fail("root of nothing: %v", tree.Hash)
		}
		return
	}
	r := tlog.TileHashReader(tree, files{dir})
	indexes := make([]int64, tree.N)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	leaves, err := r.ReadHashes(indexes)
	if err != nil {
		fail("tiles: %v", err)
	}
	entries(dir, tree, leaves)
	proofs(tree, r, leaves)
}
