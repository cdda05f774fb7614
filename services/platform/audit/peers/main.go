// Checks what Vigie's audit writes with Go's own golang.org/x/mod/sumdb/note and tlog, and writes what Vigie is to read. It reads a
// case from standard input and writes its answer to standard output, both as JSON; the first thing that is wrong ends it.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A case: a log, proofs of it, keys and notes. Bytes are in Base64.
type given struct {
	Entries       [][]byte    `json:"entries"`
	Stored        []tlog.Hash `json:"stored"`
	Roots         []tlog.Hash `json:"roots"`
	Inclusions    []proof     `json:"inclusions"`
	Consistencies []proof     `json:"consistencies"`
	// Keys of the log, and the seed of a witness.
	PrivateKey  string `json:"private_key"`
	PublicKey   string `json:"public_key"`
	OtherKey    string `json:"other_key"`
	WitnessName string `json:"witness_name"`
	WitnessSeed []byte `json:"witness_seed"`
	WitnessTime uint64 `json:"witness_time"`
	Cosigned    string `json:"cosigned"`
	// Notes that are right or wrong, judged by both.
	Notes [][]byte `json:"notes"`
}

type proof struct {
	Size  int64       `json:"size"`
	Index int64       `json:"index"`
	Path  []tlog.Hash `json:"path"`
}

type answer struct {
	// What becomes of each note: "accepted", "malformed", "unverified" or "forged".
	Verdicts   []string `json:"verdicts"`
	PrivateKey string   `json:"private_key"`
	PublicKey  string   `json:"public_key"`
	// A checkpoint that both keys of Go have signed, and the witness.
	Note        string `json:"note"`
	Cosignature string `json:"cosignature"`
	Checked     int    `json:"checked"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("go: ")
	var in given
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		log.Fatalf("reading the case: %v", err)
	}
	var out answer
	out.Checked += checkTree(&in)
	checkNotes(&in, &out)
	if err := json.NewEncoder(os.Stdout).Encode(&out); err != nil {
		log.Fatal(err)
	}
}

// Stored hashes, roots and proofs.
func checkTree(in *given) int {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, 0, len(indexes))
		for _, index := range indexes {
			if index < 0 || index >= int64(len(stored)) {
				return nil, fmt.Errorf("no stored hash %d", index)
			}
			hashes = append(hashes, stored[index])
		}
		return hashes, nil
	})
	checked := 0
	for n := range int64(len(in.Roots)) {
		root, err := tlog.TreeHash(n, reader)
		if err != nil || root != in.Roots[n] {
			log.Fatalf("the root of %d entries is %v (%v), and Vigie's is %v", n, root, err, in.Roots[n])
		}
		checked++
		if n < int64(len(in.Entries)) {
			hashes, err := tlog.StoredHashes(n, in.Entries[n], reader)
			if err != nil {
				log.Fatal(err)
			}
			if first := tlog.StoredHashIndex(0, n); first != int64(len(stored)) {
				log.Fatalf("entry %d is stored at %d, and not %d", n, first, len(stored))
			}
			stored = append(stored, hashes...)
		}
	}
	if len(stored) != len(in.Stored) {
		log.Fatalf("%d hashes are stored, and by Vigie %d", len(stored), len(in.Stored))
	}
	for index, hash := range stored {
		if hash != in.Stored[index] {
			log.Fatalf("stored hash %d is %v, and Vigie's is %v", index, hash, in.Stored[index])
		}
		checked++
	}
	for _, p := range in.Inclusions {
		if err := tlog.CheckRecord(p.Path, p.Size, in.Roots[p.Size], p.Index, tlog.RecordHash(in.Entries[p.Index])); err != nil {
			log.Fatalf("the proof of entry %d of %d: %v", p.Index, p.Size, err)
		}
		made, err := tlog.ProveRecord(p.Size, p.Index, reader)
		if err != nil || !equal(made, p.Path) {
			log.Fatalf("the proof of entry %d of %d is another by Go (%v)", p.Index, p.Size, err)
		}
		checked += 2
	}
	for _, p := range in.Consistencies {
		if err := tlog.CheckTree(p.Path, p.Size, in.Roots[p.Size], p.Index, in.Roots[p.Index]); err != nil {
			log.Fatalf("the proof from %d to %d: %v", p.Index, p.Size, err)
		}
		made, err := tlog.ProveTree(p.Size, p.Index, reader)
		if err != nil || !equal(made, p.Path) {
			log.Fatalf("the proof from %d to %d is another by Go (%v)", p.Index, p.Size, err)
		}
		checked += 2
	}
	return checked
}

func equal(one, other []tlog.Hash) bool {
	if len(one) != len(other) {
		return false
	}
	for i := range one {
		if one[i] != other[i] {
			return false
		}
	}
	return true
}

// Keys, notes and cosignatures.
func checkNotes(in *given, out *answer) {
	signer, err := note.NewSigner(in.PrivateKey)
	if err != nil {
		log.Fatalf("Vigie's private key: %v", err)
	}
	verifier, err := note.NewVerifier(in.PublicKey)
	if err != nil {
		log.Fatalf("Vigie's public key: %v", err)
	}
	other, err := note.NewVerifier(in.OtherKey)
	if err != nil {
		log.Fatalf("Vigie's other public key: %v", err)
	}
	w := newWitness(in.WitnessName, in.WitnessSeed, in.WitnessTime)
	opened, err := note.Open([]byte(in.Cosigned), note.VerifierList(verifier, other, w))
	if err != nil {
		log.Fatalf("Vigie's cosigned checkpoint: %v", err)
	}
	if len(opened.Sigs) != 3 || len(opened.UnverifiedSigs) != 0 {
		log.Fatalf("Vigie's cosigned checkpoint has the signatures %v", opened.Sigs)
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(opened.Text, "\n", 2)[1]))
	if err != nil || tree.N != int64(len(in.Entries)) || tree.Hash != in.Roots[len(in.Entries)] {
		log.Fatalf("the tree of Vigie's checkpoint is %v (%v)", tree, err)
	}
	for _, text := range in.Notes {
		out.Verdicts = append(out.Verdicts, verdict(text, note.VerifierList(verifier, w)))
	}

	out.PrivateKey, out.PublicKey, err = note.GenerateKey(nil, "go.example/log")
	if err != nil {
		log.Fatal(err)
	}
	own, err := note.NewSigner(out.PrivateKey)
	if err != nil {
		log.Fatal(err)
	}
	text := fmt.Sprintf("go.example/log\n%d\n%v\nan extension\n", tree.N, tree.Hash)
	made, err := note.Sign(&note.Note{Text: text}, own, signer, w)
	if err != nil {
		log.Fatal(err)
	}
	out.Note = string(made)
	lines := strings.SplitAfter(strings.TrimSuffix(out.Note, "\n"), "\n")
	out.Cosignature = lines[len(lines)-1] + "\n"
}

// Go verifies while it reads, so a note that is forged and malformed is read without keys first.
func verdict(text []byte, known note.Verifiers) string {
	var unverified *note.UnverifiedNoteError
	if _, err := note.Open(text, nil); !errors.As(err, &unverified) {
		return "malformed"
	}
	_, err := note.Open(text, known)
	var invalid *note.InvalidSignatureError
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &unverified):
		return "unverified"
	case errors.As(err, &invalid):
		return "forged"
	default:
		return err.Error()
	}
}

// A witness as C2SP tlog-cosignature describes it; the package note has only the keys of logs.
type witness struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
	time uint64
}

func newWitness(name string, seed []byte, time uint64) *witness {
	key := ed25519.NewKeyFromSeed(seed)
	public := key.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	return &witness{name, binary.BigEndian.Uint32(sum[:4]), key, time}
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

func (w *witness) Sign(text []byte) ([]byte, error) {
	signature := ed25519.Sign(w.key, message(w.time, text))
	return append(binary.BigEndian.AppendUint64(nil, w.time), signature...), nil
}

func (w *witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	time := binary.BigEndian.Uint64(signature)
	return time < 1<<63 && ed25519.Verify(w.key.Public().(ed25519.PublicKey), message(time, text), signature[8:])
}

func message(time uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", time, text)
}
