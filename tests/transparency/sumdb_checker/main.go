// Command sumdb_checker checks a log with the code by which Go programs check their checksum
// database. It reads one JSON document from standard input and fails at the first difference.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"checker/note"
	"checker/tlog"
)

type inclusion struct {
	Index int64
	Entry []byte
	Path  tlog.RecordProof
}

type consistency struct {
	OldSize int64     `json:"old_size"`
	OldRoot tlog.Hash `json:"old_root"`
	Path    tlog.TreeProof
}

type log struct {
	Key         string
	Head        string
	Tiles       tiles
	Inclusion   []inclusion
	Consistency []consistency
}

// tiles holds the log's hashes under the names that C2SP tlog-tiles gives them.
type tiles map[string][]byte

func (kept tiles) Height() int { return 8 }

func (kept tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		// Go's own tiles have their height in their names; C2SP's all have the same.
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		hashes, there := kept[name]
		if !there {
			return nil, fmt.Errorf("there is no %s", name)
		}
		found[i] = hashes
	}
	return found, nil
}

func (kept tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func main() {
	var theirs log
	must(json.NewDecoder(os.Stdin).Decode(&theirs))
	verifier := got(note.NewVerifier(theirs.Key))
	signed := got(note.Open([]byte(theirs.Head), note.VerifierList(verifier)))
	tree := got(tlog.ParseTree([]byte(signed.Text)))
	hashes := tlog.TileHashReader(tree, theirs.Tiles)
	if got(tlog.TreeHash(tree.N, hashes)) != tree.Hash {
		must(fmt.Errorf("the tiles have another root than the head"))
	}
	for _, each := range theirs.Inclusion {
		leaf := tlog.RecordHash(each.Entry)
		must(tlog.CheckRecord(each.Path, tree.N, tree.Hash, each.Index, leaf))
		if !slices.Equal(got(tlog.ProveRecord(tree.N, each.Index, hashes)), each.Path) {
			must(fmt.Errorf("leaf %d has another path", each.Index))
		}
	}
	for _, each := range theirs.Consistency {
		must(tlog.CheckTree(each.Path, tree.N, tree.Hash, each.OldSize, each.OldRoot))
		if !slices.Equal(got(tlog.ProveTree(tree.N, each.OldSize, hashes)), each.Path) {
			must(fmt.Errorf("size %d has another path", each.OldSize))
		}
	}
	fmt.Println(tree.N, len(theirs.Inclusion), len(theirs.Consistency))
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
