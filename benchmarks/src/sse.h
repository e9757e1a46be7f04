// What the load generator reads of one line of an SSE stream, in whichever dialect it comes.
#ifndef SSE_H
#define SSE_H

#include <stdbool.h>
#include <stddef.h>

enum line_kind {
  LINE_OTHER, // comments, ids, roles, usage: not looked at
  LINE_TEXT,  // text..text_end is the tokens, one or several
  LINE_DONE,  // `[DONE]`, `event: done`, {"type":"done"} or {"type":"end"}
  LINE_ERROR, // {"error":...} or {"type":"error"}; text..text_end is the whole value
};

struct sse_line {
  enum line_kind kind;
  const char *text, *text_end;
};

// Knows OpenAI's chunks and typed frames ({"type":"chunk","content":"..."}; also delta and token). A typed frame
// of another type is not looked at: a last frame may repeat the whole text.
struct sse_line sse_read_line(const char *line, size_t size);

#endif
