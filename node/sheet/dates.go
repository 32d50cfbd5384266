package sheet

import (
	"math"
	"regexp"
	"strconv"
	"time"
)

// Forms in which dates leave this package.
const (
	dayForm    = "2006-01-02"
	momentForm = "2006-01-02 15:04:05"
)

// local is the one zone that the country uses.
var local = time.FixedZone("UTC+8", 8*3600)

// Serial numbers of Excel. Before 61 the 1900 system counts a 29 February
// that never was; such cells are empty or misread figures, not dates.
const (
	firstSerial = 61
	lastSerial  = 2958465 // 9999-12-31
)

// fromSerial turns a serial number of Excel into local time, to the second.
func fromSerial(x float64, date1904 bool) (time.Time, bool) {
	epoch, first := time.Date(1899, 12, 30, 0, 0, 0, 0, local), float64(firstSerial)
	if date1904 {
		epoch, first = time.Date(1904, 1, 1, 0, 0, 0, 0, local), 0
	}
	if !(x >= first && x <= lastSerial) {
		return time.Time{}, false
	}
	days, part := math.Modf(x)
	return epoch.AddDate(0, 0, int(days)).Add(time.Duration(math.Round(part*86400)) * time.Second), true
}

func badSerial(row, column int, value string) *CellError {
	return cellError(row, column, value, "bad_serial",
		"这一格被 Excel 当成 1900 年前后的日期,多半是空值或数字误设为日期格式,请核对后重新填写",
		"Excel shows this cell as a date around 1900, which is usually a blank or a number in date format. Check it and type it again.")
}

// dateForms: 2024-01-02, 2024/1/2, 2024.1.2, 2024年1月2日, 20240102, each
// with an optional time of day.
var (
	dateForm = regexp.MustCompile(`^(\d{4})(?:[-/.年](\d{1,2})[-/.月](\d{1,2})[日号]?|(\d{2})(\d{2}))(?:[ T]*(\S.*))?$`)
	timeForm = regexp.MustCompile(`^(\d{1,2})(?::|时|点)(?:(\d{1,2})(?::(\d{1,2})(?:\.(\d{3}))?|分(?:(\d{1,2})秒)?)?)?(?:Z|\+08:?00)?$`)
)

// moment is a parsed date with what it said of the time.
type moment struct {
	t     time.Time
	clock bool // a time of day other than midnight was given
}

func parseMoment(s string) (moment, bool) {
	m := dateForm.FindStringSubmatch(s)
	if m == nil {
		return moment{}, false
	}
	month, day := m[2]+m[4], m[3]+m[5]
	t := time.Date(number(m[1]), time.Month(number(month)), number(day), 0, 0, 0, 0, local)
	if int(t.Month()) != number(month) || t.Day() != number(day) {
		return moment{}, false
	}
	if m[6] == "" {
		return moment{t: t}, true
	}
	return withClock(t, m[6])
}

func withClock(t time.Time, s string) (moment, bool) {
	m := timeForm.FindStringSubmatch(s)
	if m == nil {
		return moment{}, false
	}
	hour, minute, second := number(m[1]), number(m[2]), number(m[3]+m[5])
	if hour > 23 || minute > 59 || second > 59 {
		return moment{}, false
	}
	past := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute +
		time.Duration(second)*time.Second + time.Duration(number(m[4]))*time.Millisecond
	if s[len(s)-1] == 'Z' {
		past += 8 * time.Hour
	}
	return moment{t: t.Add(past), clock: past != 0}, true
}

// number parses digits that a pattern has matched; none are 0.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
