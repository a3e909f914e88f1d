package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/grantwright/oauth-go/tokens"
)

// report prints a line for each step.
type report struct {
	out   io.Writer
	steps int
}

// step runs one call and prints its status and duration. If it fails, the run ends.
func (r *report) step(ctx context.Context, what string, call func(context.Context) error) error {
	var resp *http.Response
	start := time.Now()
	err := call(tokens.WithResponse(ctx, &resp))
	took := time.Since(start).Round(10 * time.Microsecond)
	r.steps++
	status := "-"
	if resp != nil {
		status = tokens.Status(resp.StatusCode).Error()
	}
	verdict := "ok"
	if err != nil {
		verdict = "FAIL"
	}
	fmt.Fprintf(r.out, "  %-4s  %-16s  %9v  %s\n", verdict, status, took, what)
	return err
}

// refused runs a step that must fail with the given status.
func (r *report) refused(ctx context.Context, what string, status tokens.Status, call func(context.Context) error) error {
	return r.step(ctx, what, func(ctx context.Context) error {
		err := call(ctx)
		switch {
		case errors.Is(err, status):
			return nil
		case err == nil:
			return fmt.Errorf("not refused with %d", int(status))
		}
		return err
	})
}
