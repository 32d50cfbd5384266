package geo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fengqiao/fengqiao/node/geo"
)

var villages = map[string]string{"330681109290": "330681109290", "枫源村": "330681109290", "栎桥村": "330681109291"}

func resolve(text string) string { return villages[text] }

const square = `[[[120.4,29.8],[120.41,29.8],[120.41,29.81],[120.4,29.8]]]`

func feature(properties, kind, coordinates string) string {
	return fmt.Sprintf(`{"type":"Feature","properties":%s,"geometry":{"type":%q,"coordinates":%s}}`, properties, kind, coordinates)
}

func collection(features ...string) string {
	return `{"type":"FeatureCollection","features":[` + strings.Join(features, ",") + `]}`
}

func TestRead(t *testing.T) {
	file := "\ufeff" + collection(
		feature(`{"XZQMC":"栎桥村","contact":"张某某 13800000000"}`, "Polygon", `[[[120.12345678,29.8,12.5],[120.41,29.8,0],[120.41,29.81,0],[120.12345678,29.8,12.5]]]`),
		feature(`{"code":330681109290}`, "MultiPolygon", "["+square+"]"),
		feature(`{"name":"枫源村"}`, "Polygon", square))
	areas, err := geo.Read([]byte(file), resolve)
	if err != nil {
		t.Fatal(err)
	}
	if len(areas) != 2 || areas[0].Code != "330681109290" || len(areas[0].Polygons) != 2 {
		t.Fatalf("two villages, one of two parts: %+v", areas)
	}
	if got := areas[1].Polygons[0][0][0]; got != [2]float64{120.123457, 29.8} {
		t.Errorf("rounded to 1e-6, height dropped: %v", got)
	}
	out, err := geo.Write(areas)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"contact", "张", "138"} {
		if strings.Contains(string(out), personal) {
			t.Errorf("properties of the file are kept: %s", out)
		}
	}
	again, err := geo.Read(out, resolve)
	if err == nil || len(again) != 0 { // 栎桥村's code is unknown to resolve
		t.Fatalf("what was written names codes: %v", err)
	}
	villages["330681109291"] = "330681109291"
	if again, err = geo.Read(out, resolve); err != nil || len(again) != 2 {
		t.Fatalf("what was written is read again: %v %v", again, err)
	}
}

func TestRefusals(t *testing.T) {
	name := `{"name":"枫源村"}`
	ring := func(points string) string { return feature(name, "Polygon", "[["+points+"]]") }
	many := strings.Repeat("[120.4,29.8],", geo.MaxPoints)
	for code, file := range map[string]string{
		"not_json":         `PK` + "\x03\x04",
		"not_a_collection": feature(name, "Polygon", square),
		"wrong_crs":        `{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::4549"}},"features":[` + ring("") + `]}`,
		"empty":            collection(),
		"too_many_areas":   `{"type":"FeatureCollection","features":[` + strings.Repeat("{},", geo.MaxAreas) + `{}]}`,
		"no_geometry":      collection(`{"type":"Feature","properties":{"name":"枫源村"},"geometry":null}`),
		"unknown_area":     collection(feature(`{"name":"桃花源村"}`, "Polygon", square)),
		"wrong_geometry":   collection(feature(name, "Point", "[120.4,29.8]")),
		"bad_shape":        collection(feature(name, "Polygon", `[[["120.4","29.8"]]]`)),
		"short_ring":       collection(ring("[120.4,29.8],[120.5,29.8],[120.4,29.8]")),
		"out_of_range":     collection(ring("[29.8,120.4],[29.9,120.4],[29.9,120.5],[29.8,120.4]")),
		"open_ring":        collection(ring("[120.4,29.8],[120.5,29.8],[120.5,29.9],[120.4,29.9]")),
		"too_many_points":  collection(ring(many + "[120.4,29.8]")),
		"too_large":        strings.Repeat(" ", geo.MaxBytes+1),
	} {
		_, err := geo.Read([]byte(file), resolve)
		var p *geo.Problem
		if !errors.As(err, &p) || p.Code != code {
			t.Errorf("%s: %v", code, err)
			continue
		}
		if p.Message.ZH == "" || p.Message.EN == "" || strings.Contains(p.Message.ZH+p.Message.EN, "%!") {
			t.Errorf("%s says %q", code, p.Message)
		}
	}
	if _, err := geo.Read([]byte(collection(feature(name, "Polygon", square))+"{}"), resolve); err == nil {
		t.Error("what follows the collection is taken")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(collection(feature(`{"name":"枫源村"}`, "Polygon", square))))
	f.Fuzz(func(t *testing.T, data []byte) {
		areas, err := geo.Read(data, resolve)
		if err != nil {
			return
		}
		out, err := geo.Write(areas)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := geo.Read(out, resolve); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}
