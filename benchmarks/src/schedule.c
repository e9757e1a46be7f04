// A binary heap and a list, both of which know where each of their members is.
#include "schedule.h"

#include <stdlib.h>

struct turn **schedule_heap, **schedule_eager;
int schedule_heap_size, schedule_eager_size;
static int heap_room, eager_room;

static struct turn **grown(struct turn **array, int size, int *room) {
  if (size < *room)
    return array;
  *room = *room ? *room * 2 : 64;
  return realloc(array, *room * sizeof *array);
}

static void place(int at, struct turn *turn) {
  schedule_heap[at] = turn;
  turn->heap_at = at;
}

static void sift_up(int at) {
  struct turn *turn = schedule_heap[at];
  while (at) {
    int parent = (at - 1) / 2;
    if (schedule_heap[parent]->due_ns <= turn->due_ns)
      break;
    place(at, schedule_heap[parent]);
    at = parent;
  }
  place(at, turn);
}

static void sift_down(int at) {
  struct turn *turn = schedule_heap[at];
  for (;;) {
    int child = 2 * at + 1;
    if (child >= schedule_heap_size)
      break;
    if (child + 1 < schedule_heap_size && schedule_heap[child + 1]->due_ns < schedule_heap[child]->due_ns)
      child++;
    if (schedule_heap[child]->due_ns >= turn->due_ns)
      break;
    place(at, schedule_heap[child]);
    at = child;
  }
  place(at, turn);
}

void schedule_start(struct turn *turn) {
  turn->heap_at = turn->eager_at = -1;
}

void schedule_pace(struct turn *turn) {
  schedule_heap = grown(schedule_heap, schedule_heap_size, &heap_room);
  place(schedule_heap_size, turn);
  sift_up(schedule_heap_size++);
}

void schedule_repeat_first(void) {
  schedule_heap[0]->due_ns += schedule_heap[0]->period_ns;
  sift_down(0);
}

void schedule_hurry(struct turn *turn) {
  if (turn->eager_at >= 0)
    return;
  schedule_eager = grown(schedule_eager, schedule_eager_size, &eager_room);
  turn->eager_at = schedule_eager_size;
  schedule_eager[schedule_eager_size++] = turn;
}

void schedule_calm(struct turn *turn) {
  int at = turn->eager_at;
  if (at < 0)
    return;
  turn->eager_at = -1;
  schedule_eager[at] = schedule_eager[--schedule_eager_size];
  if (at < schedule_eager_size)
    schedule_eager[at]->eager_at = at;
}

void schedule_drop(struct turn *turn) {
  schedule_calm(turn);
  int at = turn->heap_at;
  if (at < 0)
    return;
  turn->heap_at = -1;
  if (at == --schedule_heap_size)
    return;
  struct turn *moved = schedule_heap[schedule_heap_size];
  place(at, moved);
  sift_up(at);
  sift_down(moved->heap_at);
}
