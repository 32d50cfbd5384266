// Package ui holds the built front end. Without Node the embedded folder
// holds one page that says how to build it.
package ui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// FS is the built front end.
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Built reports whether the front end was built.
func Built() bool {
	_, err := fs.Stat(FS(), "app.html")
	return err == nil
}
