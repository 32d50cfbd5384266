package api

// SetupState is what the first-run wizard shows.
type SetupState struct {
	Needed        bool           `json:"needed"`
	Organisations []Organisation `json:"organisations"` // townships that were imported
	ServerTime    int64          `json:"server_time"`
	ClockOK       bool           `json:"clock_ok"`
	ClockText     string         `json:"clock_text"`
}

// SetupAdmin is one of the three administrators.
type SetupAdmin struct {
	Role     string `json:"role" required:"true" enum:"system_admin,security_admin,audit_admin"`
	Username string `json:"username" required:"true" minLength:"3" maxLength:"32"`
	Name     string `json:"name" required:"true" minLength:"1" maxLength:"60"`
	Password string `json:"password" required:"true" minLength:"8" maxLength:"128"`
}

// SetupInput founds the box.
type SetupInput struct {
	Code         string       `json:"code" required:"true" minLength:"4" maxLength:"16"`
	Organisation string       `json:"organisation" required:"true" minLength:"6" maxLength:"9"`
	Name         string       `json:"name" maxLength:"60"`
	CountyName   string       `json:"county_name,omitempty" maxLength:"60"`
	TimeChecked  bool         `json:"time_checked"`
	TimeSource   string       `json:"time_source" required:"true" enum:"ntp,own"`
	TimeServer   string       `json:"time_server,omitempty" maxLength:"260"`
	BrowserTime  int64        `json:"browser_time,omitempty"` // Unix ms, as the person saw it
	Admins       []SetupAdmin `json:"admins" required:"true" minItems:"3" maxItems:"3"`
}

// ClockProbe asks a time server before the box is founded.
type ClockProbe struct {
	Code   string `json:"code" required:"true" minLength:"4" maxLength:"16"`
	Server string `json:"server" required:"true" minLength:"1" maxLength:"260"`
}

// ClockInput chooses what the box holds its clock against.
type ClockInput struct {
	Source      string `json:"source" required:"true" enum:"ntp,own"`
	Server      string `json:"server,omitempty" maxLength:"260"`
	Compared    bool   `json:"compared,omitempty"`     // a person compared the clock now
	BrowserTime int64  `json:"browser_time,omitempty"` // Unix ms, as that person saw it
}

// ClockMeasure is one answer of a time server.
type ClockMeasure struct {
	At          int64 `json:"at"`
	OffsetMS    int64 `json:"offset_ms"`    // to add to the box's clock
	UncertainMS int64 `json:"uncertain_ms"` // either way
	Stratum     int   `json:"stratum"`
}

// ClockState is how the clock stands.
type ClockState struct {
	Source     string        `json:"source"` // "" was never chosen
	Server     string        `json:"server"`
	ServerTime int64         `json:"server_time"`
	OK         bool          `json:"ok"`
	Text       string        `json:"text"`
	ComparedAt int64         `json:"compared_at"` // by a person
	Measured   *ClockMeasure `json:"measured,omitempty"`
	Problem    string        `json:"problem,omitempty"` // of the last question
}

// Sheet is the content of the emergency sheet. It is shown once; the box
// keeps the public half and hashes only.
type Sheet struct {
	BoxID        string   `json:"box_id"`
	Organisation string   `json:"organisation"`
	Name         string   `json:"name"`
	CreatedAt    int64    `json:"created_at"`
	Recipient    string   `json:"recipient"`
	Secret       []string `json:"secret"` // groups of the private half
	Codes        []string `json:"codes"`  // break-glass
}

// DivisionCounts says what an import of divisions did.
type DivisionCounts struct {
	New     int            `json:"new"`
	Changed int            `json:"changed"`
	Same    int            `json:"same"`
	Levels  map[string]int `json:"levels"` // rows of each level
}

// GrantInput is a role to give.
type GrantInput struct {
	Role         string `json:"role" required:"true" maxLength:"64"`
	Organisation string `json:"organisation" required:"true" maxLength:"32"`
}

// AccountInput makes an account.
type AccountInput struct {
	Username string       `json:"username" required:"true" minLength:"3" maxLength:"32"`
	Name     string       `json:"name" required:"true" minLength:"1" maxLength:"60"`
	Phone    string       `json:"phone,omitempty" maxLength:"32"`
	Grants   []GrantInput `json:"grants" required:"true" minItems:"1" maxItems:"16"`
}

// GrantsInput replaces an account's roles.
type GrantsInput struct {
	Grants []GrantInput `json:"grants" required:"true" minItems:"1" maxItems:"16"`
}

// Account is a person who may sign in, as administrators see them.
type Account struct {
	ID       string  `json:"id"`
	Username string  `json:"username"`
	Name     string  `json:"name"`
	Status   string  `json:"status"`
	Grants   []Grant `json:"grants"`
	Initial  string  `json:"initial_password,omitempty"` // shown once
}

// AccountList is every account of the box.
type AccountList struct {
	Items []Account `json:"items"`
}

// CalendarYear is a year of the work calendar.
type CalendarYear struct {
	Year   int      `json:"year"`
	Off    int      `json:"off"`  // public holidays
	Work   int      `json:"work"` // make-up working days
	Days   []string `json:"days"` // each "2026-01-01 off 元旦" or "… work …", by date
	Papers []string `json:"papers"`
}

// CalendarList is the years that were imported.
type CalendarList struct {
	Items []CalendarYear `json:"items"`
}

// DefinitionInput is a kind as YAML.
type DefinitionInput struct {
	YAML string `json:"yaml" required:"true" minLength:"1" maxLength:"200000"`
	Dry  bool   `json:"dry,omitempty"`
}

// DefinitionProblem is one mistake in a definition.
type DefinitionProblem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// DefinitionResult is a checked or adopted kind.
type DefinitionResult struct {
	ID       string              `json:"id"`
	Version  uint32              `json:"version"`
	Title    string              `json:"title"`
	Adopted  bool                `json:"adopted"`
	Problems []DefinitionProblem `json:"problems,omitempty"`
}

// ImportColumn is one column of a table that somebody brought.
type ImportColumn struct {
	Header string `json:"header"`
	Sample string `json:"sample"`
	Field  string `json:"field"` // "" leaves it out
}

// ImportField is a target of the mapping.
type ImportField struct {
	Key      string `json:"key"`
	Title    string `json:"title"`
	Required bool   `json:"required"`
}

// ImportError is one wrong cell.
type ImportError struct {
	Row     int    `json:"row"`
	Column  int    `json:"column"`
	Header  string `json:"header"`
	Value   string `json:"value"`
	Message string `json:"message"`
}

// Import is a job that brings a table. While it runs, ask for it again.
type Import struct {
	ID         string         `json:"id"`
	File       string         `json:"file"`
	Kind       string         `json:"kind"`
	Title      string         `json:"title"` // of the kind
	State      string         `json:"state" enum:"mapping,checked,running,done,undone,failed"`
	Rows       int            `json:"rows"`
	Done       int            `json:"done"`
	Columns    []ImportColumn `json:"columns"`
	Fields     []ImportField  `json:"fields"`
	Errors     []ImportError  `json:"errors"`
	ErrorCount int            `json:"error_count"`
	Touched    []RecordRow    `json:"touched,omitempty"` // left by an undo
	CreatedAt  int64          `json:"created_at"`
	By         string         `json:"by"`
	// Of imported people; given once, with the first answer that says done.
	FirstPasswords []FirstPassword `json:"first_passwords,omitempty"`
}

// FirstPassword is handed to a new colleague, who must change it.
type FirstPassword struct {
	Username string `json:"username"`
	Name     string `json:"name"`
	Password string `json:"password"`
}

// ImportKind is something that the caller may import.
type ImportKind struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// ImportList is what one may import, and the jobs of it.
type ImportList struct {
	Kinds []ImportKind `json:"kinds"`
	Items []Import     `json:"items"`
}

// MappingInput says which column is which field.
type MappingInput struct {
	Columns map[string]string `json:"columns" required:"true"`
}

// AuditEntry is one line of the audit.
type AuditEntry struct {
	Seq              uint64            `json:"seq"`
	At               int64             `json:"at"`
	Actor            string            `json:"actor"`
	ActorName        string            `json:"actor_name"`
	Role             string            `json:"role"`
	OrganisationName string            `json:"organisation_name"`
	Action           string            `json:"action"`
	ActionTitle      string            `json:"action_title"`
	ObjectKind       string            `json:"object_kind,omitempty"`
	KindTitle        string            `json:"kind_title,omitempty"`
	Object           string            `json:"object,omitempty"`
	Reason           string            `json:"reason,omitempty"`
	Result           string            `json:"result"`
	ResultTitle      string            `json:"result_title"`
	Address          string            `json:"address,omitempty"`
	Details          map[string]string `json:"details,omitempty"`
}

// AuditPage is a part of the audit, newest first.
type AuditPage struct {
	Items []AuditEntry `json:"items"`
	Next  string       `json:"next"`
}

// Check is one line of readiness.
type Check struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
}

// Health is how the box is.
type Health struct {
	Version    string  `json:"version"`
	StartedAt  int64   `json:"started_at"`
	ServerTime int64   `json:"server_time"`
	Checks     []Check `json:"checks"`
	DiskFree   int64   `json:"disk_free"`
	DiskTotal  int64   `json:"disk_total"`
	MemoryUsed int64   `json:"memory_used"`
	MemoryAll  int64   `json:"memory_all"`
	Load       string  `json:"load"`
	Clock      string  `json:"clock"`
	Operations uint64  `json:"operations"`
	Lag        uint64  `json:"lag"` // answered operations not yet in the store
	Records    int64   `json:"records"`
	IndexedTo  uint64  `json:"indexed_to"`
	Head       uint64  `json:"head"`
	Rebuilding bool    `json:"rebuilding"`
	// RebuildPercent is how far the rebuild of the search index is.
	RebuildPercent int    `json:"rebuild_percent"`
	LastBackup     int64  `json:"last_backup"`
	Walls          []Wall `json:"walls"`
}

// Wall is a large screen that reported.
type Wall struct {
	Name    string `json:"name"`
	SeenAt  int64  `json:"seen_at"`
	Audio   string `json:"audio"`
	Layout  string `json:"layout"`
	Version string `json:"version"`
}

// Backup is one archive.
type Backup struct {
	Name      string `json:"name"`
	CreatedAt int64  `json:"created_at"`
	Size      int64  `json:"size"`
}

// BackupList is the archives in the backup directory.
type BackupList struct {
	Items []Backup `json:"items"`
}
