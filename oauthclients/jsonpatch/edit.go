package jsonpatch

// edit is one step in turning an array into another.
type edit uint8

const (
	keepElement edit = iota
	changeElement
	removeElement
	addElement
)

// editTable holds, for each pair of positions in two arrays, the cost of
// turning what is left of the one into what is left of the other: the
// Levenshtein distance. Among equally many steps, fewer changes are cheaper,
// because they leave more elements as they are.
type editTable struct {
	before, after []item
	cost          []int // of (i, k) at i*(len(after)+1) + k
	step          int   // the cost of a step, more than all changes add up to
}

func newEditTable(before, after []item) *editTable {
	width := len(after) + 1
	t := &editTable{
		before: before,
		after:  after,
		cost:   make([]int, (len(before)+1)*width),
		step:   min(len(before), len(after)) + 1,
	}
	for i := len(before); i >= 0; i-- {
		for k := len(after); k >= 0; k-- {
			_, t.cost[i*width+k] = t.next(i, k)
		}
	}
	return t
}

// next returns the first step of the cheapest edit at (i, k) and its cost,
// from the costs of the positions behind it.
func (t *editTable) next(i, k int) (edit, int) {
	width := len(t.after) + 1
	at := i*width + k
	switch {
	case i == len(t.before):
		return addElement, t.step * (len(t.after) - k)
	case k == len(t.after):
		return removeElement, t.step * (len(t.before) - i)
	case equal(&t.before[i].value, &t.after[k].value):
		return keepElement, t.cost[at+width+1]
	}
	change := t.cost[at+width+1] + t.step + 1
	remove := t.cost[at+width] + t.step
	add := t.cost[at+1] + t.step
	switch min(change, remove, add) {
	case change:
		return changeElement, change
	case remove:
		return removeElement, remove
	}
	return addElement, add
}
