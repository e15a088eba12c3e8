package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNotificationOptions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("https://hooks.example.com/services/verysecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(plain, []byte("http://hooks.example.com/services/verysecret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		url, ca  string
		wantSink bool
		wantErr  string
	}{
		"nobody is told by default":          {},
		"the address of a file is used":      {url: file, wantSink: true},
		"a file that is not there":           {url: file + "-missing", wantErr: "no such file"},
		"an address that is no secret kept":  {url: plain, wantErr: "is neither https nor"},
		"authorities for nobody":             {ca: file, wantErr: "--notification-ca-file needs --notification-url-file"},
		"authorities that are none":          {url: file, ca: file, wantErr: "no certificate in PEM"},
		"authorities of a file that is away": {url: file, ca: file + "-missing", wantErr: "no such file"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			options := DefaultManagerOptions()
			options.NotificationURLFile, options.NotificationCAFile = test.url, test.ca
			err := options.validate()
			sink, sinkErr := notificationSink(options)
			if err == nil {
				err = sinkErr
			}
			switch {
			case (err != nil) != (test.wantErr != ""), err == nil && (sink != nil) != test.wantSink:
				t.Errorf("got %v, %v", sink, err)
			case err != nil && (!strings.Contains(err.Error(), test.wantErr) || strings.Contains(err.Error(), "verysecret")):
				t.Errorf("got %q, want %q", err, test.wantErr)
			}
		})
	}
}
