// Package frame tells an unfinished write from a damaged one. Both the
// journal and the audit log append groups of bytes to zeroed files and sync
// them once; after a crash the last group may be there in part.
package frame

import "hash/crc32"

// Sector is the unit that a disk writes whole or not at all.
const Sector = 512

// EndMark closes a group. It holds no zero byte, so that the last sector of
// a finished group never reads as unwritten.
var EndMark = [8]byte{'F', 'Q', 'E', 'N', 'D', 0xf0, 0x9f, '\n'}

var table = crc32.MakeTable(crc32.Castagnoli)

// Sum is the CRC-32C over all parts.
func Sum(parts ...[]byte) uint32 {
	var c uint32
	for _, p := range parts {
		c = crc32.Update(c, table, p)
	}
	return c
}

// AllZero reports whether b holds nothing but zeros.
func AllZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// Unfinished reports whether bytes that should be one group, beginning at
// offset of their file, were provably never written whole: they end before
// the group does (cut), their end mark is zero, or ZeroSector. Only the last
// group of a file can be unfinished; the caller sees to that.
func Unfinished(group []byte, offset int64, cut bool) bool {
	if cut || len(group) >= len(EndMark) && AllZero(group[len(group)-len(EndMark):]) {
		return true // a write that stopped short leaves zeros to the end
	}
	return ZeroSector(group, offset)
}

// ZeroSector reports whether a sector of b, which begins at offset of its
// file, reads as zeros as far as b reaches. A flipped byte leaves none
// behind; groups never contain one, see ZeroRun.
func ZeroSector(b []byte, offset int64) bool {
	for at := 0; at < len(b); {
		end := at + Sector - int((offset+int64(at))%Sector)
		end = min(end, len(b))
		if AllZero(b[at:end]) {
			return true
		}
		at = end
	}
	return false
}

// ZeroRun reports whether b has a run of zeros that could fill a sector;
// such bytes are refused by writers.
func ZeroRun(b []byte) bool {
	run := 0
	for _, v := range b {
		if v != 0 {
			run = 0
			continue
		}
		if run++; run >= Sector/4 {
			return true
		}
	}
	return false
}
