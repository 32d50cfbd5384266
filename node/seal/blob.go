package seal

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/fengqiao/fengqiao/cluster/envelope"
)

// An attachment is sealed in chunks so that it can be streamed:
//
//	magic "FQB1", algorithm, 32-byte salt, then chunks of 64 KiB plaintext,
//	each with its 16-byte tag; nonce = counter ‖ last-chunk mark.
//
// The key of a file is derived from the record's content key and the salt,
// so erasing the content key makes the file unreadable.
const (
	blobMagic = "FQB1"
	chunkSize = 64 << 10
	saltSize  = 32
	// BlobOverhead bounds what sealing adds to n bytes: header and tags.
	blobHeader = len(blobMagic) + 1 + saltSize
)

// BlobWriter seals what is written to it.
type BlobWriter struct {
	out     io.Writer
	sum     hash.Hash
	key     Key
	buf     []byte
	counter uint64
	size    int64
}

// NewBlobWriter begins a sealed file on out.
func NewBlobWriter(out io.Writer, content Key) (*BlobWriter, error) {
	salt := make([]byte, saltSize)
	fill(salt)
	w := &BlobWriter{sum: sha256.New(), key: fileKey(content, salt), buf: make([]byte, 0, chunkSize)}
	w.out = io.MultiWriter(out, w.sum)
	header := append([]byte(blobMagic), envelope.XChaCha20Poly1305)
	_, err := w.out.Write(append(header, salt...))
	return w, err
}

func fileKey(content Key, salt []byte) Key { return Derive(content, "file/"+string(salt)) }

// Write implements io.Writer.
func (w *BlobWriter) Write(p []byte) (int, error) {
	n := len(p)
	w.size += int64(n)
	for len(p) > 0 {
		if len(w.buf) == chunkSize {
			if err := w.flush(false); err != nil {
				return 0, err
			}
		}
		k := min(chunkSize-len(w.buf), len(p))
		w.buf = append(w.buf, p[:k]...)
		p = p[k:]
	}
	return n, nil
}

func (w *BlobWriter) flush(last bool) error {
	_, err := w.out.Write(aead(w.key).Seal(nil, blobNonce(w.counter, last), w.buf, nil))
	w.counter++
	w.buf = w.buf[:0]
	return err
}

// Close writes the last chunk and gives the address of the file: the hash
// of all sealed bytes. The plaintext size is returned beside it.
func (w *BlobWriter) Close() (envelope.Hash, int64, error) {
	if err := w.flush(true); err != nil {
		return envelope.Hash{}, 0, err
	}
	var h envelope.Hash
	h[0] = envelope.SHA256
	w.sum.Sum(h[1:1])
	return h, w.size, nil
}

func blobNonce(counter uint64, last bool) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	binary.BigEndian.PutUint64(nonce[15:], counter)
	if last {
		nonce[23] = 1
	}
	return nonce
}

// OpenBlob reads a sealed file; the reader fails before it gives a byte of
// a chunk that was changed, and at the end when the file was cut.
func OpenBlob(in io.Reader, content Key) (io.Reader, error) {
	header := make([]byte, blobHeader)
	if _, err := io.ReadFull(in, header); err != nil {
		return nil, ErrUnreadable
	}
	if string(header[:4]) != blobMagic || header[4] != envelope.XChaCha20Poly1305 {
		return nil, ErrUnreadable
	}
	return &blobReader{in: bufio.NewReaderSize(in, chunkSize+chacha20poly1305.Overhead), key: fileKey(content, header[5:])}, nil
}

type blobReader struct {
	in      *bufio.Reader
	key     Key
	chunk   []byte
	counter uint64
	done    bool
}

func (r *blobReader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 {
		if r.done {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

func (r *blobReader) next() error {
	sealed := make([]byte, chunkSize+chacha20poly1305.Overhead)
	n, err := io.ReadFull(r.in, sealed)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrUnreadable // the last chunk never came
	}
	_, peek := r.in.Peek(1)
	r.done = peek != nil
	plain, err := aead(r.key).Open(nil, blobNonce(r.counter, r.done), sealed[:n], nil)
	if err != nil {
		return ErrUnreadable
	}
	r.counter++
	r.chunk = plain
	return nil
}
