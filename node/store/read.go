package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/node/domain"
)

// get reads one checked value; no slice of the map escapes.
func (s *Store) get(bucket, key []byte, use func(raw []byte) error) (found bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get(key)
		if v == nil {
			return nil
		}
		found = true
		raw, err := unwrap(bucket, key, v)
		if err != nil {
			return err
		}
		return use(raw)
	})
	return found, err
}

func decode[T any](bucket, key []byte, into *T) func([]byte) error {
	return func(raw []byte) error {
		if err := envelope.Unmarshal(raw, into); err != nil {
			return &DamageError{Bucket: string(bucket), Key: bytes.Clone(key), Reason: err.Error()}
		}
		return nil
	}
}

// Record reads a record.
func (s *Store) Record(id envelope.RecordID) (*domain.Record, bool, error) {
	var r *domain.Record
	found, err := s.get(bucketView, id[:], func(raw []byte) (err error) {
		r, err = decodeRecord(id[:], raw)
		return err
	})
	return r, found, err
}

func decodeRecord(key, raw []byte) (*domain.Record, error) {
	var r domain.Record
	if err := envelope.Unmarshal(raw, &r); err != nil {
		return nil, &DamageError{Bucket: string(bucketView), Key: bytes.Clone(key), Reason: err.Error()}
	}
	return &r, r.Normalise()
}

// Position is how far the journal was carried in; zero at first.
func (s *Store) Position() (p envelope.Position, err error) {
	_, err = s.get(bucketMeta, metaPosition, decode(bucketMeta, metaPosition, &p))
	return p, err
}

// Applied is the place in the order that the store has reached.
func (s *Store) Applied() (i envelope.Index, err error) {
	_, err = s.get(bucketMeta, metaApplied, decode(bucketMeta, metaApplied, &i))
	return i, err
}

// Generation names this store; it is new for every store that was not
// continued from the same file.
func (s *Store) Generation() (g string, err error) {
	_, err = s.get(bucketMeta, metaGeneration, func(raw []byte) error { g = string(raw); return nil })
	return g, err
}

// Records counts the records.
func (s *Store) Records() (n int64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		n, err = readInt(tx.Bucket(bucketMeta), metaRecords)
		return err
	})
	return n, err
}

// Digest is the order-independent digest of all records.
func (s *Store) Digest() (out []byte, err error) {
	_, err = s.get(bucketMeta, metaDigest, func(raw []byte) error { out = bytes.Clone(raw); return nil })
	return out, err
}

// Key finds a content key's row.
func (s *Store) Key(record envelope.RecordID, id envelope.KeyID) (k KeyRow, found bool, err error) {
	key := keyOfRow(record, id)
	found, err = s.get(bucketKeys, key, decode(bucketKeys, key, &k))
	return k, found, err
}

// Request finds what an idempotency key did.
func (s *Store) Request(key string) (r RequestRow, found bool, err error) {
	found, err = s.get(bucketRequest, []byte(key), decode(bucketRequest, []byte(key), &r))
	return r, found, err
}

// Series gives the last number of a series, 0 before the first.
func (s *Store) Series(name string) (n int64, err error) {
	_, err = s.get(bucketSeries, []byte(name), func(raw []byte) error {
		if len(raw) != 8 {
			return errLength(len(raw), 8)
		}
		n = int64(binary.BigEndian.Uint64(raw))
		return nil
	})
	return n, err
}

// Verdict finds what became of an operation.
func (s *Store) Verdict(id envelope.OpID) (v VerdictRow, found bool, err error) {
	var value verdictValue
	found, err = s.get(bucketVerdict, opKey(id), decode(bucketVerdict, opKey(id), &value))
	return VerdictRow{ID: id, Index: value.Index, Verdict: value.Verdict, Record: value.Record}, found, err
}

// VerdictsBefore lists what became of the operations of an origin, newest
// first: those of earlier incarnations follow the first of the next.
func (s *Store) VerdictsBefore(id envelope.OpID, limit int) (rows []VerdictRow, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketVerdict).Cursor()
		k, raw := c.Seek(opKey(id))
		if k == nil {
			k, raw = c.Last()
		} else {
			k, raw = c.Prev()
		}
		for ; bytes.HasPrefix(k, id.Origin[:]) && len(rows) < limit; k, raw = c.Prev() {
			v, err := unwrap(bucketVerdict, k, raw)
			if err != nil {
				return err
			}
			var value verdictValue
			if err := decode(bucketVerdict, k, &value)(v); err != nil {
				return err
			}
			of := k[len(id.Origin):]
			rows = append(rows, VerdictRow{ID: envelope.OpID{Origin: id.Origin, Incarnation: binary.BigEndian.Uint32(of), Seq: binary.BigEndian.Uint64(of[4:])},
				Index: value.Index, Verdict: value.Verdict, Record: value.Record})
		}
		return nil
	})
	return rows, err
}

// Scan lists index entries below prefix in order, after the given key (nil
// from the start; from the end when reverse), at most limit.
func (s *Store) Scan(prefix, after []byte, reverse bool, limit int) (hits []Hit, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketIndex).Cursor()
		for k, v := first(c, prefix, after, reverse); bytes.HasPrefix(k, prefix) && len(hits) < limit; {
			id, err := hitID(k, v)
			if err != nil {
				return err
			}
			hits = append(hits, Hit{Key: bytes.Clone(k), ID: id})
			if reverse {
				k, v = c.Prev()
			} else {
				k, v = c.Next()
			}
		}
		return nil
	})
	return hits, err
}

func hitID(k, v []byte) (id envelope.RecordID, err error) {
	if len(v) != len(id) {
		return id, &DamageError{Bucket: string(bucketIndex), Key: bytes.Clone(k), Reason: "length"}
	}
	return envelope.RecordID(v), nil
}

func first(c *bbolt.Cursor, prefix, after []byte, reverse bool) (k, v []byte) {
	if !reverse {
		if after == nil {
			return c.Seek(prefix)
		}
		if k, v = c.Seek(after); bytes.Equal(k, after) {
			return c.Next()
		}
		return k, v
	}
	if after == nil {
		after = beyond(prefix)
	}
	if k, _ = c.Seek(after); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// beyond is the first key after everything below prefix.
func beyond(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// SumPrefix adds the counters below a prefix.
func (s *Store) SumPrefix(prefix []byte) (int64, error) { return s.SumRange(prefix, beyond(prefix)) }

// SumRange adds the counters from a key up to, but without, another.
func (s *Store) SumRange(from, to []byte) (sum int64, err error) {
	err = s.EachCount(from, to, func(_ []byte, n int64) error { sum += n; return nil })
	return sum, err
}

// EachCount visits counters in order; keys must not be kept.
func (s *Store) EachCount(from, to []byte, visit func(key []byte, n int64) error) error {
	return s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketCount).Cursor()
		for k, v := c.Seek(from); k != nil && (to == nil || bytes.Compare(k, to) < 0); k, v = c.Next() {
			raw, err := unwrap(bucketCount, k, v)
			if err != nil {
				return err
			}
			if err := visit(k, int64(binary.BigEndian.Uint64(raw))); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachPrefix visits the counters below a prefix.
func (s *Store) EachPrefix(prefix []byte, visit func(key []byte, n int64) error) error {
	return s.EachCount(prefix, beyond(prefix), visit)
}

// Head is the number of the newest change.
func (s *Store) Head() (n uint64, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketChanges).Sequence()
		return nil
	})
	return n, err
}

// Changes lists records by their last change after n, at most limit.
func (s *Store) Changes(n uint64, limit int) (out []Change, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketChanges).Cursor()
		for k, v := c.Seek(binary.BigEndian.AppendUint64(nil, n+1)); k != nil && len(out) < limit; k, v = c.Next() {
			raw, err := unwrap(bucketChanges, k, v)
			if err != nil {
				return err
			}
			out = append(out, Change{N: binary.BigEndian.Uint64(k), Record: envelope.RecordID(raw)})
		}
		return nil
	})
	return out, err
}

// EachRecord visits records in the order of their ids from the given one,
// at most limit, and gives the id to go on from; ok is false at the end.
// Chunks keep the read transaction short, so that pages are not pinned.
func (s *Store) EachRecord(from envelope.RecordID, limit int, visit func(*domain.Record) error) (next envelope.RecordID, ok bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketView).Cursor()
		k, v := c.Seek(from[:])
		for n := 0; k != nil && n < limit; n++ {
			raw, err := unwrap(bucketView, k, v)
			if err != nil {
				return err
			}
			r, err := decodeRecord(k, raw)
			if err != nil {
				return err
			}
			if err := visit(r); err != nil {
				return err
			}
			k, v = c.Next()
		}
		if k != nil {
			next, ok = envelope.RecordID(k), true
		}
		return nil
	})
	return next, ok, err
}

// Copy writes a consistent copy of the file.
func (s *Store) Copy(path string) error {
	return s.view(func(tx *bbolt.Tx) error {
		if err := tx.CopyFile(path, 0o600); err != nil {
			return fmt.Errorf("store: copy: %w", err)
		}
		return nil
	})
}
