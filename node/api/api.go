// Package api holds the types that the HTTP interface speaks: plain data,
// no rules. Times are Unix milliseconds, record ids 22 characters of
// base64url, money is in fen, points in 1e-6 degree.
package api

// Problem is an error as people and programs read it (RFC 9457). Detail is
// a sentence in the reader's language that says what to do.
type Problem struct {
	Type       string          `json:"type"`
	Code       string          `json:"code"`
	Title      string          `json:"title"`
	Detail     string          `json:"detail"`
	Status     int             `json:"status"`
	Instance   string          `json:"instance,omitempty"`
	RequestID  string          `json:"request_id"`
	Errors     []FieldProblem  `json:"errors,omitempty"`
	Changes    []TimelineEntry `json:"changes,omitempty"` // what happened since the reader's version
	Version    string          `json:"version,omitempty"`
	RetryAfter int             `json:"retry_after,omitempty"` // seconds
}

// FieldProblem is one wrong value: the field as forms know it, and where it
// stands in the body that was sent (RFC 6901).
type FieldProblem struct {
	Field   string `json:"field"`
	Pointer string `json:"pointer,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Credentials open a session.
type Credentials struct {
	Username string `json:"username" required:"true" minLength:"1" maxLength:"64"`
	Password string `json:"password" required:"true" minLength:"1" maxLength:"128"`
}

// PasswordChange replaces one's own password.
type PasswordChange struct {
	Old string `json:"old" required:"true" maxLength:"128"`
	New string `json:"new" required:"true" maxLength:"128"`
}

// BreakGlass opens the emergency session.
type BreakGlass struct {
	Code string `json:"code" required:"true" minLength:"4" maxLength:"64"`
	Name string `json:"name" required:"true" minLength:"1" maxLength:"64"`
}

// Session is who is signed in on which box.
type Session struct {
	User       User    `json:"user"`
	Grants     []Grant `json:"grants"`
	CSRF       string  `json:"csrf"`
	ExpiresAt  int64   `json:"expires_at"`
	BreakGlass bool    `json:"break_glass"`
	MustChange bool    `json:"must_change_password"`
	Box        Box     `json:"box"`
}

// User is the signed-in person.
type User struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Name     string `json:"name"`
}

// Grant is a role for an organisation, with what people call them.
type Grant struct {
	Role             string `json:"role"`
	RoleTitle        string `json:"role_title"`
	Organisation     string `json:"organisation"`
	OrganisationName string `json:"organisation_name"`
}

// Box is the machine that answers.
type Box struct {
	ID               string `json:"id"`
	Organisation     string `json:"organisation"`
	OrganisationName string `json:"organisation_name"`
	Version          string `json:"version"`
	Demo             bool   `json:"demo"`
	SetupNeeded      bool   `json:"setup_needed"`
	ServerTime       int64  `json:"server_time"`
	ClockOK          bool   `json:"clock_ok"`
	Line             string `json:"line"` // one sentence on the state of box and county link
}

// Option is a choice of a code table.
type Option struct {
	Code     string `json:"code"`
	ZH       string `json:"zh"`
	EN       string `json:"en"`
	Parent   string `json:"parent,omitempty"`
	Pinyin   string `json:"pinyin,omitempty"`
	Initials string `json:"initials,omitempty"`
}

// Catalogue is what a client needs to draw forms: kinds as their
// definitions stand, code tables, roles.
type Catalogue struct {
	Version string              `json:"version"`
	Kinds   []any               `json:"kinds"`
	Tables  map[string][]Option `json:"tables"`
	Roles   []Option            `json:"roles"`
}

// Organisation is a node of the tree.
type Organisation struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Level    string `json:"level"`
	Parent   string `json:"parent,omitempty"`
	Abbr     string `json:"abbr,omitempty"`
	Lng      int64  `json:"lng,omitempty"`
	Lat      int64  `json:"lat,omitempty"`
	Pinyin   string `json:"pinyin,omitempty"`
	Initials string `json:"initials,omitempty"`
}

// OrganisationList is the whole tree of the box.
type OrganisationList struct {
	Items []Organisation `json:"items"`
}

// Person is somebody to pick.
type Person struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Roles        []string `json:"roles"`
	Organisation string   `json:"organisation"`
	Pinyin       string   `json:"pinyin,omitempty"`
	Initials     string   `json:"initials,omitempty"`
}

// PersonList is people to pick from.
type PersonList struct {
	Items []Person `json:"items"`
}

// Clock is a deadline as it stands now.
type Clock struct {
	ID               string `json:"id"`
	Title            string `json:"title"`
	State            string `json:"state" enum:"normal,due_soon,yellow,red,paused,stopped"`
	DueAt            int64  `json:"due_at"`
	WarnAt           int64  `json:"warn_at"`
	YellowAt         int64  `json:"yellow_at"`
	RedAt            int64  `json:"red_at"`
	NextAt           int64  `json:"next_at"`
	RemainingMinutes int64  `json:"remaining_minutes"`
	Text             string `json:"text"`
	Rule             string `json:"rule"`
	StartedAt        int64  `json:"started_at"`
	PausedSince      int64  `json:"paused_since,omitempty"`
	Extensions       int    `json:"extensions"`
	Uncertain        bool   `json:"uncertain"`
}

// RecordRow is one line of a list, as far as the reader may see it.
type RecordRow struct {
	ID         string `json:"id"`
	Kind       string `json:"kind"`
	KindTitle  string `json:"kind_title"`
	Number     string `json:"number,omitempty"`
	Title      string `json:"title"`   // "" when the reader may not see text
	Heading    string `json:"heading"` // composed from codes
	State      string `json:"state"`
	StateTitle string `json:"state_title"`
	Tone       string `json:"tone"`
	Holder     string `json:"holder"`
	HolderName string `json:"holder_name"`
	Village    string `json:"village,omitempty"`
	Urgency    string `json:"urgency,omitempty"`
	Type       string `json:"type,omitempty"`
	TypeText   string `json:"type_text,omitempty"`
	CreatedAt  int64  `json:"created_at"`
	ChangedAt  int64  `json:"changed_at"`
	Clock      *Clock `json:"clock,omitempty"` // the nearest
	Card       string `json:"card,omitempty"`
	Urged      int64  `json:"urged,omitempty"`
	Returns    int64  `json:"returns,omitempty"`
	Mine       bool   `json:"mine"`
	Unread     bool   `json:"unread"`
	Badge      string `json:"badge" enum:"saved,on_n_boxes,county_log,applied,offered,returned,late,needs_decision"`
}

// RecordPage is a part of a list.
type RecordPage struct {
	Items []RecordRow `json:"items"`
	Next  string      `json:"next"`
	AsOf  int64       `json:"as_of"`
}

// Value is a field's value under the reader's rights.
type Value struct {
	V          any    `json:"v,omitempty"`
	Text       string `json:"text,omitempty"` // for people: label of a code, name of an organisation
	Masked     bool   `json:"masked,omitempty"`
	Revealable bool   `json:"revealable,omitempty"`
	Hidden     bool   `json:"hidden,omitempty"`
}

// Actor is who took a step.
type Actor struct {
	ID               string `json:"id"`
	Name             string `json:"name"`
	RoleTitle        string `json:"role_title"`
	OrganisationName string `json:"organisation_name"`
}

// FieldChange is one value that a step set.
type FieldChange struct {
	Path   string `json:"path"`
	Title  string `json:"title"`
	Before *Value `json:"before,omitempty"`
	After  *Value `json:"after,omitempty"`
}

// TimelineEntry is one step of a record's history.
type TimelineEntry struct {
	Op          string           `json:"op"`
	Step        string           `json:"step"`
	Title       string           `json:"title"`
	Effect      string           `json:"effect"`
	At          int64            `json:"at"`
	TimeQuality int              `json:"time_quality"`
	Actor       Actor            `json:"actor"`
	From        string           `json:"from,omitempty"`
	To          string           `json:"to,omitempty"`
	TargetName  string           `json:"target_name,omitempty"`
	Note        *Value           `json:"note,omitempty"`
	Inputs      map[string]Value `json:"inputs,omitempty"`
	Changed     []FieldChange    `json:"changed,omitempty"`
	AfterClose  bool             `json:"after_close,omitempty"`
}

// Missing is something that stands between a record and a step.
type Missing struct {
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Action is a step that the reader's role has, whether or not it is
// possible now.
type Action struct {
	Step     string        `json:"step"`
	Title    string        `json:"title"`
	Effect   string        `json:"effect"`
	Allowed  bool          `json:"allowed"`
	Why      string        `json:"why,omitempty"`
	Fields   []ActionField `json:"fields,omitempty"`
	Inputs   []any         `json:"inputs,omitempty"` // field definitions
	Note     string        `json:"note,omitempty"`
	Document string        `json:"document,omitempty"`
	Holder   string        `json:"holder,omitempty"`
	Missing  []Missing     `json:"missing,omitempty"`
}

// ActionField is a field of the record that a step asks for.
type ActionField struct {
	Key      string `json:"key"`
	Required bool   `json:"required,omitempty"`
	Value    string `json:"value,omitempty"`
}

// File is an attachment.
type File struct {
	Hash     string `json:"hash"`
	Name     string `json:"name"`
	Size     int64  `json:"size"`
	Media    string `json:"media"`
	Document string `json:"document,omitempty"`
	At       int64  `json:"at"`
	By       string `json:"by"`
	Readable bool   `json:"readable"`
}

// FiledDocument is a dossier document that was filed.
type FiledDocument struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	N       int64  `json:"n"`
	FiledAt int64  `json:"filed_at"`
	Void    bool   `json:"void,omitempty"`
}

// Dossier says how complete a dossier is.
type Dossier struct {
	Complete bool      `json:"complete"`
	Missing  []Missing `json:"missing,omitempty"`
}

// Copy is somebody who was told, and who has read it.
type Copy struct {
	Target string `json:"target"`
	Name   string `json:"name"`
	ReadBy []User `json:"read_by,omitempty"`
}

// Card is a supervision mark.
type Card struct {
	Clock   string `json:"clock"`
	Round   int64  `json:"round"`
	Colour  string `json:"colour"`
	Against string `json:"against"`
	Lifted  bool   `json:"lifted,omitempty"`
}

// Asked is a request that waits for a decision.
type Asked struct {
	Kind  string `json:"kind"`
	Clock string `json:"clock,omitempty"`
	Limit string `json:"limit,omitempty"`
}

// Link ties two records.
type Link struct {
	ID       string `json:"id"`
	Relation string `json:"relation"`
	Number   string `json:"number,omitempty"`
	Heading  string `json:"heading,omitempty"`
}

// PaperRef is a paper that can be printed.
type PaperRef struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Record is one matter as far as the reader may see it.
type Record struct {
	RecordRow
	DefinitionVersion uint32           `json:"definition_version"`
	Custodian         string           `json:"custodian"`
	CustodianName     string           `json:"custodian_name"`
	Reporter          string           `json:"reporter"`
	ReporterName      string           `json:"reporter_name"`
	Sight             string           `json:"sight" enum:"summary,text,team"`
	Version           string           `json:"version"`
	Fields            map[string]Value `json:"fields"`
	Timeline          []TimelineEntry  `json:"timeline"`
	Clocks            []Clock          `json:"clocks"`
	Actions           []Action         `json:"actions"`
	Files             []File           `json:"files"`
	Documents         []FiledDocument  `json:"documents,omitempty"`
	Dossier           *Dossier         `json:"dossier,omitempty"`
	Assists           []Copy           `json:"assists,omitempty"`
	Copies            []Copy           `json:"copies,omitempty"`
	Cards             []Card           `json:"cards,omitempty"`
	Asked             []Asked          `json:"asked,omitempty"`
	OfferedTo         string           `json:"offered_to,omitempty"`
	Links             []Link           `json:"links,omitempty"`
	Children          []Link           `json:"children,omitempty"`
	Parent            string           `json:"parent,omitempty"`
	Aliases           []string         `json:"aliases,omitempty"`
	Papers            []PaperRef       `json:"papers,omitempty"`
	Suspended         bool             `json:"suspended,omitempty"`
	Presence          []User           `json:"presence,omitempty"`
	Erasure           *Erasure         `json:"erasure,omitempty"`
}

// Erasure is how far an erased record's content is destroyed on this box.
// At is when that was done: backups made before still hold it until they
// are destroyed themselves. While it runs, At is absent.
type Erasure struct {
	State string `json:"state" enum:"running,done"`
	At    int64  `json:"at,omitempty"`
}

// CreateInput reports a new matter.
type CreateInput struct {
	Kind   string         `json:"kind" required:"true" minLength:"1" maxLength:"64"`
	Step   string         `json:"step,omitempty" maxLength:"64"`
	Fields map[string]any `json:"fields" required:"true"`
	Note   string         `json:"note,omitempty" maxLength:"8000"`
}

// StepInput takes a step on a record.
type StepInput struct {
	Seen   string         `json:"seen,omitempty" maxLength:"200"`
	Fields map[string]any `json:"fields,omitempty"`
	Inputs map[string]any `json:"inputs,omitempty"`
	Note   string         `json:"note,omitempty" maxLength:"8000"`
}

// RevealInput asks for the full value of a masked field.
type RevealInput struct {
	Path   string `json:"path" required:"true" minLength:"1" maxLength:"128"`
	Reason string `json:"reason" required:"true" minLength:"1" maxLength:"64"`
}

// Revealed is a full value, to be hidden again at Until.
type Revealed struct {
	Value string `json:"value"`
	Until int64  `json:"until"`
}

// Changes is what happened to a record since a version.
type Changes struct {
	Changes []TimelineEntry `json:"changes"`
	Version string          `json:"version"`
}

// Presence is who else has the record open.
type Presence struct {
	Others []User `json:"others"`
}

// SimilarInput is a matter being entered.
type SimilarInput struct {
	Kind   string         `json:"kind" required:"true" maxLength:"64"`
	Fields map[string]any `json:"fields" required:"true"`
	ID     string         `json:"id,omitempty" maxLength:"22"`
}

// Duplicate is a record that may be the same matter, and why.
type Duplicate struct {
	Row     RecordRow `json:"row"`
	Reasons []string  `json:"reasons"`
	Score   int64     `json:"score"` // 0 to 100
}

// Similar is what the box knows of caller and matter.
type Similar struct {
	People     []RecordRow `json:"people"`
	Duplicates []Duplicate `json:"duplicates"`
}

// SearchHit is one record found.
type SearchHit struct {
	Row      RecordRow `json:"row"`
	Snippets []Snippet `json:"snippets,omitempty"`
}

// Snippet is a piece of text with the matches marked: pairs of character
// positions.
type Snippet struct {
	Field string   `json:"field"`
	Text  string   `json:"text"`
	Marks [][2]int `json:"marks"`
}

// FacetCount is one value of a facet.
type FacetCount struct {
	Code  string `json:"code"`
	Text  string `json:"text"`
	Count int64  `json:"count"`
}

// SearchResult is a page of hits.
type SearchResult struct {
	Items     []SearchHit             `json:"items"`
	Total     int64                   `json:"total"`
	Facets    map[string][]FacetCount `json:"facets"`
	TookMS    int64                   `json:"took_ms"`
	IndexedTo uint64                  `json:"indexed_to"`
	Head      uint64                  `json:"head"`
	// Exact is false where the total may be somewhat too high, or the index
	// is so far behind that only what is listed was counted.
	Exact bool `json:"exact"`
	// Rebuilding: the results are those so far, Percent of all are in.
	Rebuilding bool `json:"rebuilding,omitempty"`
	Percent    int  `json:"percent"`
}

// Alarm is something that people must know at once.
type Alarm struct {
	ID               string `json:"id"`
	Level            int64  `json:"level"`
	Reason           string `json:"reason"`
	Title            string `json:"title"`
	Record           string `json:"record,omitempty"`
	OrganisationName string `json:"organisation_name,omitempty"`
	RaisedAt         int64  `json:"raised_at"`
	AcknowledgedAt   int64  `json:"acknowledged_at,omitempty"`
	AcknowledgedBy   string `json:"acknowledged_by,omitempty"`
	State            string `json:"state"`
	Version          string `json:"version"`
}

// AlarmList is the alarms that stand.
type AlarmList struct {
	Items []Alarm `json:"items"`
	AsOf  int64   `json:"as_of"`
}

// DutyNow is who is on duty.
type DutyNow struct {
	Shift   *Shift `json:"shift,omitempty"`
	Next    *Shift `json:"next,omitempty"`
	LogOpen int64  `json:"log_open"`
}

// Shift is one watch.
type Shift struct {
	ID     string `json:"id"`
	Date   string `json:"date"`
	Slot   string `json:"slot"`
	Start  int64  `json:"start"`
	End    int64  `json:"end"`
	Leader *User  `json:"leader,omitempty"`
	Staff  []User `json:"staff,omitempty"`
	Phone  string `json:"phone,omitempty"`
	State  string `json:"state"`
}

// Roster is the shifts of a period.
type Roster struct {
	Items []Shift `json:"items"`
}

// Handover is what a leaving shift hands on.
type Handover struct {
	Open    []RecordRow `json:"open"`
	Log     []RecordRow `json:"log"`
	Alarms  []Alarm     `json:"alarms"`
	MaySign bool        `json:"may_sign"`
	Why     string      `json:"why,omitempty"`
}

// Queue is one list of the workbench.
type Queue struct {
	ID      string      `json:"id"`
	Title   string      `json:"title"`
	Count   int64       `json:"count"`
	Overdue int64       `json:"overdue"`
	Items   []RecordRow `json:"items"`
	More    bool        `json:"more"`
}

// Workbench is what I must do now.
type Workbench struct {
	AsOf     int64       `json:"as_of"`
	Queues   []Queue     `json:"queues"`
	Incoming []RecordRow `json:"incoming"`
	Duty     DutyNow     `json:"duty"`
	Alarms   []Alarm     `json:"alarms"`
	Box      Box         `json:"box"`
}

// Draft is something being typed, kept sealed on the box.
type Draft struct {
	ID      string `json:"id"`
	Form    string `json:"form"`
	SavedAt int64  `json:"saved_at"`
	Data    any    `json:"data"`
}

// DraftInput saves a draft.
type DraftInput struct {
	Form string `json:"form" required:"true" maxLength:"64"`
	Data any    `json:"data" required:"true"`
}

// DraftList is the caller's drafts.
type DraftList struct {
	Items []Draft `json:"items"`
}
