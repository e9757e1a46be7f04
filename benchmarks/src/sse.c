// Finds the text in one SSE line by looking for its field names: a full JSON parser would cost what is measured.
#define _GNU_SOURCE
#include "sse.h"

#include <string.h>

static bool starts_with(const char *at, const char *end, const char *word) {
  size_t size = strlen(word);
  return (size_t)(end - at) >= size && !memcmp(at, word, size);
}

// The start of the value of `"name"`, which must begin within the first `within` bytes; NULL if it is not there.
static const char *value_of(const char *at, const char *end, const char *name, size_t within) {
  size_t searched = (size_t)(end - at) < within ? (size_t)(end - at) : within;
  const char *value = memmem(at, searched, name, strlen(name));
  if (!value)
    return NULL;
  value += strlen(name);
  while (value < end && (*value == ' ' || *value == ':'))
    value++;
  return value;
}

struct sse_line sse_read_line(const char *line, size_t size) {
  const struct sse_line other = {LINE_OTHER, NULL, NULL}, done = {LINE_DONE, NULL, NULL};
  const char *at = line, *end = line + size;
  if (end > at && end[-1] == '\r')
    end--;
  if (!starts_with(at, end, "data:"))
    return starts_with(at, end, "event: done") ? done : other;
  at += 5;
  if (at < end && *at == ' ')
    at++;
  if (starts_with(at, end, "[DONE]"))
    return done;

  const struct sse_line error = {LINE_ERROR, at, end};
  const char *type = value_of(at, end, "\"type\"", 64);
  if (type) {
    if (starts_with(type, end, "\"done\"") || starts_with(type, end, "\"end\""))
      return done;
    if (starts_with(type, end, "\"error\""))
      return error;
    if (!starts_with(type, end, "\"chunk\"") && !starts_with(type, end, "\"delta\"") &&
        !starts_with(type, end, "\"token\""))
      return other;
  } else if (value_of(at, end, "\"error\"", 40)) {
    return error;
  }

  const char *text = value_of(at, end, "\"content\"", end - at);
  if (!text || text >= end || *text != '"')
    return other;
  text++;
  const char *text_end = memchr(text, '"', end - text); // our tokens need no escapes
  if (!text_end || text_end == text)
    return other;
  return (struct sse_line){LINE_TEXT, text, text_end};
}
