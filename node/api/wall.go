package api

// Display is a right to show the wall.
type Display struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt int64  `json:"created_at"`
	URL       string `json:"url,omitempty"` // shown once
}

// DisplayInput names a display.
type DisplayInput struct {
	Name string `json:"name" required:"true" minLength:"1" maxLength:"60"`
}

// DisplayList is every display.
type DisplayList struct {
	Items []Display `json:"items"`
}

// WallSnapshot is everything that the wall shows. It holds no personal
// data and no free text.
type WallSnapshot struct {
	Seq          uint64        `json:"seq"`
	ServerTime   int64         `json:"server_time"`
	AsOf         int64         `json:"as_of"`
	Box          Box           `json:"box"`
	Today        WallToday     `json:"today"`
	Trend        []WallDay     `json:"trend"`
	Types        []FacetCount  `json:"types"`
	States       []FacetCount  `json:"states"`
	Live         []WallEvent   `json:"live"`
	Overdue      []WallOverdue `json:"overdue"`
	Duty         WallDuty      `json:"duty"`
	Alarms       []WallAlarm   `json:"alarms"` // not acknowledged; highest level, then newest first
	AlarmsRaised int64         `json:"alarms_raised"`
	AlarmsTaken  int64         `json:"alarms_taken"` // acknowledged, not yet cleared
	Villages     []WallVillage `json:"villages"`
	Centre       [2]int64      `json:"centre"` // lng, lat
	Mediation    WallMediation `json:"mediation"`
	Outline      string        `json:"outline"` // version of the imported outlines, "" for the schematic map
}

// WallToday is today's figures.
type WallToday struct {
	Reported int64 `json:"reported"`
	Closed   int64 `json:"closed"`
	Open     int64 `json:"open"`
	Overdue  int64 `json:"overdue"`
}

// WallDay is one day of the trend.
type WallDay struct {
	Date     string `json:"date"`
	Reported int64  `json:"reported"`
	Closed   int64  `json:"closed"`
}

// WallEvent is one line of what happens.
type WallEvent struct {
	ID          string `json:"id"`
	At          int64  `json:"at"`
	KindTitle   string `json:"kind_title"`
	TypeText    string `json:"type_text"`
	Urgency     string `json:"urgency"`
	Village     string `json:"village"`
	VillageName string `json:"village_name"`
	StateTitle  string `json:"state_title"`
	Tone        string `json:"tone"`
	Lng         int64  `json:"lng,omitempty"` // snapped to about 100 m
	Lat         int64  `json:"lat,omitempty"`
}

// WallOverdue is one matter whose time has run out.
type WallOverdue struct {
	ID          string `json:"id"`
	KindTitle   string `json:"kind_title"`
	TypeText    string `json:"type_text"`
	VillageName string `json:"village_name"`
	HolderName  string `json:"holder_name"`
	ClockTitle  string `json:"clock_title"`
	DueAt       int64  `json:"due_at"`
	State       string `json:"state"` // of the clock: yellow, red
}

// WallAlarm is what nobody has acknowledged yet.
type WallAlarm struct {
	ID          string `json:"id"`
	Level       int64  `json:"level"`
	Title       string `json:"title"`
	TypeText    string `json:"type_text"`
	Village     string `json:"village"`
	VillageName string `json:"village_name"`
	TargetName  string `json:"target_name"`
	RaisedAt    int64  `json:"raised_at"`
}

// WallDuty is who is on duty; names are masked.
type WallDuty struct {
	Leader string   `json:"leader"`
	Staff  []string `json:"staff"`
	Slot   string   `json:"slot"`
	Start  int64    `json:"start"`
	End    int64    `json:"end"`
	State  string   `json:"state"`
}

// WallVillage is a village on the map.
type WallVillage struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Lng   int64  `json:"lng"`
	Lat   int64  `json:"lat"`
	Open  int64  `json:"open"`
	Today int64  `json:"today"`
}

// WallMediation is the mediation figures of this month.
type WallMediation struct {
	Open    int64 `json:"open"`
	Closed  int64 `json:"closed"`
	Success int64 `json:"success"`
}

// WallBeat is what a wall says of itself.
type WallBeat struct {
	FPS     int64  `json:"fps"`
	Heap    int64  `json:"heap"`
	Audio   string `json:"audio" maxLength:"32"`
	Version string `json:"version" maxLength:"64"`
	Layout  string `json:"layout" maxLength:"32"`
}

// Outlines says which outlines of villages and grids the wall's map shows.
type Outlines struct {
	Version    string   `json:"version"` // "" when none were imported
	ImportedAt int64    `json:"imported_at"`
	ImportedBy string   `json:"imported_by"`
	Areas      int      `json:"areas"`
	Size       int64    `json:"size"`    // bytes
	Missing    []string `json:"missing"` // villages without an outline
}
