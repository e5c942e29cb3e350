// Package examples holds programs that show what a crawler can be built of,
// each in a folder of its own with a test that runs it against a small site.
package examples
