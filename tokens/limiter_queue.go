package tokens

import (
	"container/heap"
	"context"
	"time"
)

// A waiter is a request that waits for its turn.
type waiter struct {
	visit    *visit
	deadline time.Time // the end of MaxWait or of its context, whichever is first
	index    int       // in the queue, or -1

	// ready is closed when turn or err is set.
	ready chan struct{}
	turn  turn
	err   error
}

func (w *waiter) queued() bool { return w.index >= 0 }

func newWaiter(ctx context.Context, v *visit) *waiter {
	w := &waiter{visit: v, deadline: v.giveUp, index: -1, ready: make(chan struct{})}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(w.deadline) {
		w.deadline = deadline
	}
	return w
}

// enqueue adds w to its queue.
func (l *Limiter) enqueue(w *waiter) {
	if w.visit.number == 0 {
		l.arrivals++
		w.visit.number = l.arrivals
	}
	heap.Push(&l.queues[w.visit.lane], w)
}

// A queue is a heap of waiters, ordered by when their calls began.
type queue []*waiter

// pop removes and returns the first waiter.
func (q *queue) pop() *waiter { return heap.Pop(q).(*waiter) } //nolint:forcetypeassert // a queue holds only waiters

// remove removes w, which must be in the queue.
func (q *queue) remove(w *waiter) { heap.Remove(q, w.index) }

// before returns the waiters whose deadline is before t.
func (q *queue) before(t time.Time) (late []*waiter) {
	for _, w := range *q {
		if w.deadline.Before(t) {
			late = append(late, w)
		}
	}
	return late
}

// Len implements heap.Interface.
func (q *queue) Len() int { return len(*q) }

// Less implements heap.Interface.
func (q *queue) Less(i, j int) bool {
	a, b := (*q)[i].visit, (*q)[j].visit
	if !a.arrival.Equal(b.arrival) {
		return a.arrival.Before(b.arrival)
	}
	return a.number < b.number
}

// Swap implements heap.Interface.
func (q *queue) Swap(i, j int) {
	(*q)[i], (*q)[j] = (*q)[j], (*q)[i]
	(*q)[i].index, (*q)[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	w := x.(*waiter) //nolint:forcetypeassert // see pop
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	w.index = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}
