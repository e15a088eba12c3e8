package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing given":     nil,
		"no audit log":      {"--kubeconfig", "x"},
		"an argument extra": {"--kubeconfig", "x", "--audit-log", "y", "z"},
		"an unknown option": {"--whatever"},
	} {
		t.Run(name, func(t *testing.T) {
			var errOut strings.Builder
			if code := run(args, io.Discard, &errOut); code != exitUsage || errOut.Len() == 0 {
				t.Errorf("code %d, %q", code, errOut.String())
			}
		})
	}
}

func TestNoClusterSaysHowToStartOne(t *testing.T) {
	var out strings.Builder
	if code := run([]string{"--kubeconfig", "/does/not/exist", "--audit-log", "y"}, &out, io.Discard); code != exitFailed {
		t.Errorf("code %d", code)
	}
	if !strings.Contains(out.String(), "make up") {
		t.Error(out.String())
	}
}

func TestPersist(t *testing.T) {
	down := apierrors.NewInternalError(errors.New("failed calling webhook: connection refused"))
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "remediationrequests"}, "r", errors.New("no"))
	tests := map[string]struct {
		answers   []error
		wantTries int
		wantErr   error
	}{
		"an answer at once":                     {answers: []error{nil}, wantTries: 1},
		"nobody there at first":                 {answers: []error{down, down, nil}, wantTries: 3},
		"a refusal is final":                    {answers: []error{down, refused, nil}, wantTries: 2, wantErr: refused},
		"nobody there until the limit is over":  {answers: []error{down}, wantTries: 21, wantErr: down},
		"an error that no waiting makes better": {answers: []error{io.ErrShortWrite}, wantTries: 1, wantErr: io.ErrShortWrite},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+retryEvery/2)
				defer cancel()
				tries := 0
				s := &stage{show: newShow(io.Discard, false)}
				err := s.persist(ctx, "ask", func(context.Context) error {
					answer := test.answers[min(tries, len(test.answers)-1)]
					tries++
					return answer
				})
				if tries != test.wantTries || !errors.Is(err, test.wantErr) {
					t.Errorf("%d tries, want %d; error %v, want %v", tries, test.wantTries, err, test.wantErr)
				}
			})
		})
	}
}
