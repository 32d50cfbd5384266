package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fengqiao/fengqiao/cluster/envelope"
	"github.com/fengqiao/fengqiao/cluster/envelope/disk"
	"github.com/fengqiao/fengqiao/node/audit"
	"github.com/fengqiao/fengqiao/node/domain"
	"github.com/fengqiao/fengqiao/node/seal"
)

// MaxFile is the largest attachment in bytes.
const MaxFile = 64 << 20

// fileTypes are the attachments that a centre needs; anything that a
// browser would run is not among them.
var fileTypes = []string{"image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf", "audio/mpeg", "audio/mp4", "audio/wave",
	"audio/wav", "audio/ogg", "video/mp4", "video/webm", "text/plain", "application/zip",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/msword", "application/vnd.ms-excel", "application/ofd"}

// Upload is one attachment on its way in.
type Upload struct {
	Name     string
	Media    string // as the client names it; checked against the content
	Document string // dossier type that it stands for
	Body     io.Reader
}

// Attach seals an upload into blobs/ and adds it to the record. The file is
// durable before the operation is.
func (b *Box) Attach(ctx context.Context, c Caller, id envelope.RecordID, u Upload) (*domain.Record, error) {
	p := b.policy.Load()
	r, def, err := b.visible(p, c.Subject, id)
	if err != nil {
		return nil, err
	}
	step, ok := def.Step("attach")
	if !ok {
		return nil, ErrNotFound
	}
	if err := b.room.take(MaxFile); err != nil {
		return nil, err
	}
	d := &draft{caller: c, def: def, ref: r.Definition, step: step, record: id}
	if err := b.mayAttach(p, c, d, r, u); err != nil {
		return nil, err
	}
	s, err := b.sealerFor(id, def.ID, r)
	if err != nil {
		return nil, err
	}
	content, err := s.key(seal.Full)
	if err != nil {
		return nil, err
	}
	file, err := b.storeBlob(content.Key, u)
	if err != nil {
		return nil, asFull(err)
	}
	if err := s.add(domain.InName, cleanName(u.Name), ""); err != nil {
		return nil, err
	}
	d.fields, d.frames = s.fields, s.frames
	d.mac = b.requestMAC(id.String(), "attach", file.plain, u.Name, u.Document)
	d.open = map[string]any{domain.InFile: hex.EncodeToString(file.hash[:]), domain.InSize: file.size, domain.InMedia: file.media,
		domain.InFileKey: content.ID.String()}
	if u.Document != "" {
		d.open[domain.InDocument] = u.Document
	}
	after, err := b.submit(ctx, d)
	if err != nil || !holdsFile(after, file.hash) { // refused, or the answer to a request that was repeated
		err = errors.Join(err, os.Remove(b.blobPath(file.hash)))
	}
	return after, err
}

func holdsFile(r *domain.Record, h envelope.Hash) bool {
	return slices.ContainsFunc(r.Files, func(f domain.File) bool { return f.Hash == h })
}

// mayAttach refuses before a byte of the body is read.
func (b *Box) mayAttach(p *policy, c Caller, d *draft, r *domain.Record, u Upload) error {
	if !mayTake(p, c, d.def, d.step, r) {
		return ErrForbidden
	}
	if !domain.StepFits(d.def, d.step, r) {
		return &Refusal{Verdict: envelope.Verdict{Code: envelope.Invalid, Reason: domain.ReasonState}, Record: r}
	}
	var wrong InputError
	if u.Document != "" {
		if doc, ok := d.def.Document(u.Document); !ok || !doc.Scan {
			wrong.add("document", "unknown_code", "这种文书不能用附件代替", "An attachment cannot stand for this document.")
		}
	}
	if cleanName(u.Name) == "" {
		wrong.add("name", "required", "附件没有文件名", "The file has no name.")
	}
	return wrong.orNil()
}

// cleanName keeps the last part of a path, without control characters.
func cleanName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r < 32 || r == 127 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1 // control and direction marks disguise an ending
		}
		return r
	}, name)
	if r := []rune(name); len(r) > 120 {
		name = string(r[len(r)-120:])
	}
	return strings.TrimSpace(name)
}

type blob struct {
	hash  envelope.Hash
	plain []byte // hash of the content: sealing it again gives other bytes
	size  int64
	media string
}

// spool holds what is on its way into blobs/.
func (b *Box) spool() string { return filepath.Join(b.opts.Dir, "spool") }

// storeBlob seals the body into blobs/<first byte>/<hash>, synced.
func (b *Box) storeBlob(key seal.Key, u Upload) (blob, error) {
	if err := os.MkdirAll(b.spool(), 0o700); err != nil {
		return blob{}, err
	}
	tmp, err := os.CreateTemp(b.spool(), "blob-*")
	if err != nil {
		return blob{}, err
	}
	defer os.Remove(tmp.Name()) // gone already when it was renamed
	stored, err := sealInto(ceilingWriter{tmp, b}, key, u)
	if err != nil {
		return blob{}, errors.Join(err, tmp.Close())
	}
	defer b.stalled("blobs").Stop()
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return blob{}, err
	}
	path := b.blobPath(stored.hash)
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return blob{}, err
	}
	return stored, errors.Join(os.Rename(tmp.Name(), path), disk.SyncDir(filepath.Dir(path)))
}

// ceilingWriter gives the disk its time for each write; the sender of the
// body may take longer.
type ceilingWriter struct {
	out io.Writer
	box *Box
}

func (w ceilingWriter) Write(p []byte) (int, error) {
	defer w.box.stalled("blobs").Stop()
	return w.out.Write(p)
}

func sealInto(out io.Writer, key seal.Key, u Upload) (blob, error) {
	body := io.LimitReader(u.Body, MaxFile+1)
	head := make([]byte, 512)
	n, err := io.ReadFull(body, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return blob{}, err
	}
	if n == 0 {
		var wrong InputError
		wrong.add("file", "empty", "附件是空的,请重新选择", "The file is empty. Choose it again.")
		return blob{}, &wrong
	}
	media, err := mediaType(u.Media, head[:n])
	if err != nil {
		return blob{}, err
	}
	w, err := seal.NewBlobWriter(out, key)
	if err != nil {
		return blob{}, err
	}
	content := sha256.New()
	both := io.MultiWriter(w, content)
	if _, err := both.Write(head[:n]); err != nil {
		return blob{}, err
	}
	if _, err := io.Copy(both, body); err != nil {
		return blob{}, err
	}
	hash, size, err := w.Close()
	if err == nil && size > MaxFile {
		err = &InputError{Fields: []FieldError{{Path: "file", Code: "too_large", Message: domain.Text{
			ZH: fmt.Sprintf("附件超过 %d MB,请压缩或拆分后再传", MaxFile>>20), EN: fmt.Sprintf("The file exceeds %d MB. Compress or split it.", MaxFile>>20)}}}}
	}
	return blob{hash: hash, plain: content.Sum(nil), size: size, media: media}, err
}

// mediaType trusts the content before the name: a page or a program under
// an image's name is refused.
func mediaType(claimed string, head []byte) (string, error) {
	claimed, _, err := mime.ParseMediaType(claimed)
	sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
	refuse := &InputError{Fields: []FieldError{{Path: "file", Code: "bad_type", Message: domain.Text{
		ZH: "不支持这种附件。可用:图片、PDF、Word、Excel、录音、视频、纯文本、ZIP", EN: "This kind of file is not accepted. Use images, PDF, Word, Excel, audio, video, plain text or ZIP."}}}}
	if err != nil || !slices.Contains(fileTypes, claimed) {
		return "", refuse
	}
	family, _, _ := strings.Cut(claimed, "/")
	switch {
	case sniffed == claimed, sniffed == "application/octet-stream" && bears(claimed, head):
	case sniffed == "application/zip" && strings.HasPrefix(claimed, "application/") && claimed != "application/pdf":
	case family == "audio" && (strings.HasPrefix(sniffed, "audio/") || sniffed == "application/ogg" || sniffed == "video/mp4"):
	case family == "video" && strings.HasPrefix(sniffed, "video/"):
	default:
		return "", refuse
	}
	return claimed, nil
}

// bears knows the marks of accepted files that net/http does not.
func bears(media string, head []byte) bool {
	switch media {
	case "application/msword", "application/vnd.ms-excel":
		return bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"))
	case "video/mp4", "audio/mp4":
		return len(head) > 8 && string(head[4:8]) == "ftyp"
	case "audio/mpeg": // a frame without tags
		return len(head) > 1 && head[0] == 0xff && head[1]&0xe0 == 0xe0
	}
	return false
}

func (b *Box) blobPath(h envelope.Hash) string {
	name := hex.EncodeToString(h[:])
	return filepath.Join(b.opts.Dir, "blobs", name[2:4], name)
}

// OpenFile gives the plain content of a record's attachment. Reading is
// logged before the first byte leaves.
func (b *Box) OpenFile(c Caller, id envelope.RecordID, hash envelope.Hash) (domain.File, string, io.ReadCloser, error) {
	p := b.policy.Load()
	r, def, err := b.visible(p, c.Subject, id)
	if err != nil {
		return domain.File{}, "", nil, err
	}
	at := slices.IndexFunc(r.Files, func(f domain.File) bool { return f.Hash == hash })
	if at < 0 {
		return domain.File{}, "", nil, ErrNotFound
	}
	if domain.SightOf(p, c.Subject, def, r) < domain.FullSight(def) {
		return domain.File{}, "", nil, ErrForbidden
	}
	f := r.Files[at]
	key, err := b.contentKey(id, f.Key)
	if err != nil {
		return f, "", nil, err
	}
	in, err := os.Open(b.blobPath(hash))
	if errors.Is(err, fs.ErrNotExist) {
		return f, "", nil, ErrNotFound
	}
	if err != nil {
		return f, "", nil, err
	}
	plain, err := seal.OpenBlob(in, key.Key)
	if err != nil {
		return f, "", nil, errors.Join(err, in.Close())
	}
	err = b.noteFor(c.User, audit.Entry{Action: "open_file", ObjectKind: def.ID, Object: id.String(), Result: "ok"})
	if err != nil {
		return f, "", nil, errors.Join(err, in.Close())
	}
	return f, b.fileName(def, r, f), struct {
		io.Reader
		io.Closer
	}{plain, in}, nil
}

// fileName opens the sealed name that the attaching operation carried.
func (b *Box) fileName(def *domain.Definition, r *domain.Record, f domain.File) string {
	for _, e := range r.Appended {
		if e.Op != f.Op {
			continue
		}
		for _, s := range e.Sealed {
			if s.Path == domain.InName && s.Part == seal.Full {
				if name, err := b.open(r, s); err == nil {
					return name
				}
			}
		}
	}
	return "附件"
}
