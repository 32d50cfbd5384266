package store

import (
	"encoding/binary"

	"crypto/rand"

	"golang.org/x/crypto/blake2b"
)

// digestLanes 16-bit lanes of an LtHash (Bellare and Micciancio's AdHash
// over lattices, as used by Facebook's replicated stores): records are
// added and taken away in any order, and two boxes with equal sets of
// records have equal digests. These bytes are fixed.
const digestLanes = 1024

type digest [digestLanes]uint16

func lanes(record []byte) (d digest) {
	x, err := blake2b.NewXOF(digestLanes*2, nil)
	if err != nil {
		panic(err) // the length is a constant
	}
	x.Write(record)
	var b [digestLanes * 2]byte
	if _, err := x.Read(b[:]); err != nil {
		panic(err) // the XOF gives as many bytes as were asked for
	}
	return readDigest(b[:])
}

func readDigest(b []byte) (d digest) {
	for i := range d {
		d[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return d
}

func (d *digest) bytes() []byte {
	b := make([]byte, 0, digestLanes*2)
	for _, lane := range d {
		b = binary.LittleEndian.AppendUint16(b, lane)
	}
	return b
}

func (d *digest) add(record []byte) {
	other := lanes(record)
	d.merge(&other)
}

func (d *digest) remove(record []byte) {
	other := lanes(record)
	for i := range d {
		d[i] -= other[i]
	}
}

func (d *digest) merge(other *digest) {
	for i := range d {
		d[i] += other[i]
	}
}

// newGeneration names a store; followers that know another begin again.
func newGeneration() string { return rand.Text() }
