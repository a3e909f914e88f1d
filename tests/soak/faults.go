package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/grantwright/oauth-go/sandbox"
)

// A vendor is a vendor of the sandbox whose faults change.
type vendor interface {
	Fault(operationID string, f ...sandbox.Fault)
	ClearFaults()
	SetLimit(l sandbox.Limit)
	ExpireAll()
}

var unlimited = sandbox.Limit{Requests: -1}

// everyFault lists what can be wrong with an operation for a second.
var everyFault = []sandbox.Fault{
	{},
	{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusInternalServerError},
	{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusTooManyRequests},
	{Status: http.StatusUnauthorized},
	{Status: http.StatusFound, Header: http.Header{"Location": {"https://elsewhere.example.com/"}}},
	{Drop: true},
	{Drop: true, After: true},
	{Cut: 10, After: true},
	{Delay: 300 * time.Millisecond},
	{Delay: 300 * time.Millisecond, After: true},
}

// falseBodies are bodies that a server may send instead of JSON. They are not used for an API whose bodies only the
// caller reads.
var falseBodies = []sandbox.Fault{
	{Body: "<html>not now</html>", ContentType: "text/html", After: true},
	{Body: `{"access_token":`, After: true},
	{Body: "null", After: true},
	{Body: "[]", After: true},
}

// changeFaults sets new faults for each vendor. Half of the operations have none.
func (w *world) changeFaults() {
	for v, operations := range w.operations {
		v.ClearFaults()
		v.SetLimit(unlimited)
		if rand.IntN(4) == 0 {
			v.SetLimit(sandbox.Limit{Requests: 50, Per: time.Second, Window: sandbox.Window(rand.IntN(4))})
		}
		if rand.IntN(4) == 0 {
			v.ExpireAll()
		}
		for _, operation := range operations {
			faults := everyFault
			if operation != sandbox.Protected && operation != "listOAuthClients" {
				faults = slices.Concat(everyFault, falseBodies)
			}
			f := faults[rand.IntN(len(faults))]
			f.Times = sandbox.Forever
			if rand.IntN(2) == 0 {
				v.Fault(operation, f)
				w.faults[fmt.Sprint(f.Status, f.Drop, f.Cut, f.Delay, f.Body)]++
			}
		}
	}
}

func (w *world) clearFaults() {
	for v := range w.operations {
		v.ClearFaults()
		v.SetLimit(unlimited)
	}
}
