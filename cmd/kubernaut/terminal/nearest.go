package terminal

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Nearest is the candidate that a name was most likely meant to be; empty if none is near.
func Nearest(name string, candidates []string) string {
	best, least := "", 1+max(2, len(name)/3)
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if distance := distance(strings.ToLower(name), strings.ToLower(candidate)); distance < least {
			best, least = candidate, distance
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	// Whoever types the beginning, or a part, means the whole if there is only one.
	parts := slices.DeleteFunc(slices.Clone(candidates), func(candidate string) bool { return !strings.Contains(candidate, name) })
	if len(parts) == 1 {
		return parts[0]
	}
	return ""
}

// DidYouMean is the question for an error about an unknown name; empty if no candidate is near.
func DidYouMean(name string, candidates []string) string {
	if nearest := Nearest(name, candidates); nearest != "" {
		return "; did you mean " + nearest + "?"
	}
	return ""
}

// distance is how many letters must be typed, deleted, replaced or swapped with their neighbour to make one word the other.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range y {
		rows[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			replaced := rows[i][j]
			if x[i] != y[j] {
				replaced++
			}
			rows[i+1][j+1] = min(replaced, rows[i][j+1]+1, rows[i+1][j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				rows[i+1][j+1] = min(rows[i+1][j+1], rows[i-1][j-1]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

func nearestFlag(command *cobra.Command, err error) string {
	unknown, is := errors.AsType[*pflag.NotExistError](err)
	if !is {
		return ""
	}
	var names []string
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		if !flag.Hidden {
			names = append(names, "--"+flag.Name)
		}
	})
	return DidYouMean("--"+unknown.GetSpecifiedName(), names)
}
