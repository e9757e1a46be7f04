// Which stream speaks next: a heap ordered by due time holds the paced ones, a list those that speak flat out.
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

// The first member of whatever is scheduled, so that a pointer to one is a pointer to the other.
struct turn {
  uint64_t due_ns;
  uint64_t period_ns;     // 0: flat out as soon as it is due
  int heap_at, eager_at;  // where it is; -1: not there
};

extern struct turn **schedule_heap, **schedule_eager;
extern int schedule_heap_size, schedule_eager_size;

void schedule_start(struct turn *turn);      // in neither place; before anything else
void schedule_pace(struct turn *turn);       // into the heap, by its due_ns
void schedule_repeat_first(void);            // the heap's first: due again one period later
void schedule_hurry(struct turn *turn);      // into the list of eager ones
void schedule_calm(struct turn *turn);       // out of that list
void schedule_drop(struct turn *turn);       // out of both

#endif
