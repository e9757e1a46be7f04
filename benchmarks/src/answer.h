// One HTTP/1.1 answer, taken as its bytes come, and the lines of its body.
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum phase { HEAD, BODY, WHOLE };
enum chunk_phase { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_CR, CHUNK_LF, CHUNK_TRAILER };

struct answer {
  void *owner;                                             // of take_line
  void (*take_line)(void *owner, const char *line, size_t size); // without its LF
  enum phase phase;
  char *head;
  size_t head_size;
  int status;
  bool chunked, closes;
  long length_left; // of the body; -1: unknown
  enum chunk_phase chunk_phase;
  size_t chunk_left;
  char *line; // begun in an earlier read
  size_t line_size, line_room;
};

// Ready for the next answer of the same connection; owner, take_line and what was allocated stay.
void answer_start(struct answer *answer);

// Returns how many of the bytes belonged to the head; the phase tells whether it is complete.
size_t answer_take_head(struct answer *answer, const char *bytes, size_t size);
void answer_take_body(struct answer *answer, const char *bytes, size_t size);

// True when a closed connection is how this answer says that it is whole.
bool answer_ends_by_closing(const struct answer *answer);

#endif
