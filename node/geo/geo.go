// Package geo reads outlines of villages and grids from GeoJSON (RFC 7946)
// and writes them again with nothing but what a map of the township needs:
// the organisation's code and the rings. Properties of the file are dropped,
// because such files carry names and phones of people.
package geo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fengqiao/fengqiao/node/domain"
)

// Limits of one file.
const (
	MaxBytes  = 8 << 20
	MaxAreas  = 2000
	MaxPoints = 200_000 // a screen without a GPU draws this many at once
)

// China's extent in degrees. What lies outside is not a pair of longitude
// and latitude but metres of a plane grid, or latitude first.
const (
	west, east   = 73.0, 136.0
	south, north = 3.0, 54.0
)

// Area is one organisation's outline.
type Area struct {
	Code     string
	Polygons [][][][2]float64 // polygons of rings of longitude and latitude
}

// Problem is why a file is refused. Feature counts from 1; 0 is the file as
// a whole.
type Problem struct {
	Feature int
	Code    string
	Message domain.Text
}

func (p *Problem) Error() string { return fmt.Sprintf("geo: feature %d: %s", p.Feature, p.Code) }

func refuse(feature int, code, zh, en string, args ...any) *Problem {
	p := &Problem{Feature: feature, Code: code, Message: domain.Text{ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)}}
	if feature > 0 {
		p.Message.ZH = fmt.Sprintf("第 %d 个图形：", feature) + p.Message.ZH
		p.Message.EN = fmt.Sprintf("Feature %d: ", feature) + p.Message.EN
	}
	return p
}

type collection struct {
	Type     string    `json:"type"`
	CRS      *crs      `json:"crs"`
	Features []feature `json:"features"`
}

type crs struct {
	Properties struct {
		Name string `json:"name"`
	} `json:"properties"`
}

type feature struct {
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
	Geometry   *struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
}

// Read reads a FeatureCollection. resolve finds an organisation by a code
// or name of the file, "" when there is none. A file with one mistake is
// refused whole; the error is then a *Problem. Areas come in order of code.
func Read(data []byte, resolve func(text string) string) ([]Area, error) {
	c, err := parse(data)
	if err != nil {
		return nil, err
	}
	byCode := map[string]*Area{}
	points := 0
	for i := range c.Features {
		a, err := read(i+1, &c.Features[i], resolve)
		if err != nil {
			return nil, err
		}
		if points += a.points(); points > MaxPoints {
			return nil, refuse(0, "too_many_points", "边界点超过 %d 个，请先在制图软件中简化图形", "The outlines have more than %d points. Simplify them in the mapping program first.", MaxPoints)
		}
		if old := byCode[a.Code]; old != nil { // an exclave drawn on its own
			old.Polygons = append(old.Polygons, a.Polygons...)
			continue
		}
		byCode[a.Code] = a
	}
	out := make([]Area, 0, len(byCode))
	for _, a := range byCode {
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b Area) int { return strings.Compare(a.Code, b.Code) })
	return out, nil
}

func parse(data []byte) (*collection, error) {
	if len(data) > MaxBytes {
		return nil, refuse(0, "too_large", "文件超过 %d MB，请先在制图软件中简化图形", "The file exceeds %d MB. Simplify the outlines in the mapping program first.", MaxBytes>>20)
	}
	var c collection
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	err := d.Decode(&c)
	if err == nil && !errors.Is(trailing(d), io.EOF) {
		err = errors.New("more than one value")
	}
	switch {
	case err != nil:
		return nil, refuse(0, "not_json", "不是可读的 GeoJSON 文件，请在制图软件中选“GeoJSON”格式、UTF-8 编码重新导出", "Not a readable GeoJSON file. Export it again as GeoJSON in UTF-8.")
	case c.Type != "FeatureCollection":
		return nil, refuse(0, "not_a_collection", "文件应为图形集合（FeatureCollection）", "The file must be a FeatureCollection.")
	case c.CRS != nil && !degrees(c.CRS.Properties.Name):
		return nil, refuse(0, "wrong_crs", "坐标系为 %s，请转换为经纬度（CGCS2000 或 WGS-84）后再导出", "The coordinate system is %s. Convert it to degrees (CGCS2000 or WGS-84).", shorten(c.CRS.Properties.Name))
	case len(c.Features) == 0:
		return nil, refuse(0, "empty", "文件中没有图形", "The file holds no feature.")
	case len(c.Features) > MaxAreas:
		return nil, refuse(0, "too_many_areas", "图形超过 %d 个，请只保留本辖区的村（社区）和网格", "The file has more than %d features. Keep the villages and grids of this township only.", MaxAreas)
	}
	return &c, nil
}

func trailing(d *json.Decoder) error {
	_, err := d.Token()
	return err
}

// degrees reports a coordinate system of longitude and latitude that a map
// may treat as WGS-84 (CGCS2000 differs by less than a metre).
func degrees(name string) bool {
	name = strings.ToUpper(name)
	for _, end := range []string{"CRS84", ":4326", ":4490"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// labels are the properties that mapping programs put codes and names into,
// codes first.
var labels = []string{"code", "adcode", "区划代码", "机构代码", "代码", "xzqdm", "zldwdm", "dm", "name", "名称", "村名", "社区", "xzqmc", "zldwmc", "mc", "村（社区）", "网格"}

func read(n int, f *feature, resolve func(string) string) (*Area, error) {
	if f.Type != "Feature" || f.Geometry == nil {
		return nil, refuse(n, "no_geometry", "没有图形", "There is no geometry.")
	}
	a := &Area{Code: owner(f.Properties, resolve)}
	if a.Code == "" {
		return nil, refuse(n, "unknown_area", "找不到对应的村（社区）或网格，请在属性 code（机构代码）或 name（名称）中写明，须与机构树一致；文件中写的是“%s”", "No village or grid matches. Name it in the property code or name as the organisation tree does; the file says “%s”.", written(f.Properties))
	}
	switch f.Geometry.Type {
	case "Polygon":
		var rings [][][]float64
		if json.Unmarshal(f.Geometry.Coordinates, &rings) != nil {
			return nil, badShape(n)
		}
		return a, a.add(n, rings)
	case "MultiPolygon":
		var polygons [][][][]float64
		if json.Unmarshal(f.Geometry.Coordinates, &polygons) != nil || len(polygons) == 0 {
			return nil, badShape(n)
		}
		for _, rings := range polygons {
			if err := a.add(n, rings); err != nil {
				return nil, err
			}
		}
		return a, nil
	}
	return nil, refuse(n, "wrong_geometry", "只接受面（Polygon、MultiPolygon），这里是 %s", "Only Polygon and MultiPolygon are taken; this is %s.", shorten(f.Geometry.Type))
}

func badShape(n int) *Problem {
	return refuse(n, "bad_shape", "坐标的写法不对，请重新导出", "The coordinates are not well formed. Export the file again.")
}

func (a *Area) points() (n int) {
	for _, polygon := range a.Polygons {
		for _, ring := range polygon {
			n += len(ring)
		}
	}
	return n
}

// add checks the rings of one polygon.
func (a *Area) add(n int, rings [][][]float64) error {
	if len(rings) == 0 {
		return badShape(n)
	}
	polygon := make([][][2]float64, 0, len(rings))
	for _, ring := range rings {
		checked, err := checkRing(n, ring)
		if err != nil {
			return err
		}
		polygon = append(polygon, checked)
	}
	a.Polygons = append(a.Polygons, polygon)
	return nil
}

func checkRing(n int, ring [][]float64) ([][2]float64, error) {
	if len(ring) < 4 {
		return nil, refuse(n, "short_ring", "边界不足 4 个点", "A ring has fewer than 4 points.")
	}
	out := make([][2]float64, len(ring))
	for i, p := range ring {
		if len(p) < 2 || len(p) > 3 {
			return nil, badShape(n)
		}
		lng, lat := p[0], p[1]
		if !(lng >= west && lng <= east && lat >= south && lat <= north) {
			return nil, refuse(n, "out_of_range", "坐标（%s, %s）不是我国范围内的经纬度；应先经度后纬度，单位为度", "The point (%s, %s) is not a longitude and latitude in China. Longitude comes first, in degrees.", number(lng), number(lat))
		}
		out[i] = [2]float64{round(lng), round(lat)}
	}
	if out[0] != out[len(out)-1] {
		return nil, refuse(n, "open_ring", "边界没有闭合：首点与末点不同", "A ring is not closed: its first and last points differ.")
	}
	return out, nil
}

// round keeps 1e-6 degree, a tenth of a metre.
func round(deg float64) float64 { return math.Round(deg*1e6) / 1e6 }

func number(f float64) string { return strconv.FormatFloat(f, 'g', 9, 64) }

// owner finds the organisation that the properties name.
func owner(properties map[string]any, resolve func(string) string) string {
	for _, label := range labels {
		if text := property(properties, label); text != "" {
			if code := resolve(text); code != "" {
				return code
			}
		}
	}
	return ""
}

func property(properties map[string]any, label string) string {
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if !strings.EqualFold(key, label) {
			continue
		}
		switch value := properties[key].(type) {
		case string:
			return strings.TrimSpace(value)
		case float64:
			return strconv.FormatFloat(value, 'f', -1, 64)
		}
	}
	return ""
}

// written is what the file says under the first known label.
func written(properties map[string]any) string {
	for _, label := range labels {
		if text := property(properties, label); text != "" {
			return shorten(text)
		}
	}
	return ""
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// Write gives areas as a FeatureCollection that holds codes and rings only.
func Write(areas []Area) ([]byte, error) {
	type geometry struct {
		Type        string           `json:"type"`
		Coordinates [][][][2]float64 `json:"coordinates"`
	}
	type feature struct {
		Type       string            `json:"type"`
		Properties map[string]string `json:"properties"`
		Geometry   geometry          `json:"geometry"`
	}
	features := make([]feature, len(areas))
	for i, a := range areas {
		features[i] = feature{Type: "Feature", Properties: map[string]string{"code": a.Code}, Geometry: geometry{Type: "MultiPolygon", Coordinates: a.Polygons}}
	}
	return json.Marshal(map[string]any{"type": "FeatureCollection", "features": features})
}
