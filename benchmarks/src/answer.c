// Reads heads, chunked and plain bodies, and cuts bodies into lines; knows no sockets and no SSE.
#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_ROOM 65536

void answer_start(struct answer *a) {
  a->phase = HEAD;
  a->head_size = a->line_size = a->chunk_left = 0;
  a->status = 0;
  a->length_left = -1;
  a->chunked = a->closes = false;
  a->chunk_phase = CHUNK_SIZE;
}

bool answer_ends_by_closing(const struct answer *a) {
  return a->phase == BODY && !a->chunked && a->length_left < 0;
}

static void keep_line_part(struct answer *a, const char *bytes, size_t size) {
  if (a->line_size + size > a->line_room)
    a->line = realloc(a->line, a->line_room = (a->line_size + size) * 2);
  memcpy(a->line + a->line_size, bytes, size);
  a->line_size += size;
}

static void take_text(struct answer *a, const char *bytes, size_t size) {
  const char *end = bytes + size, *newline;
  for (; (newline = memchr(bytes, '\n', end - bytes)); bytes = newline + 1) {
    if (a->line_size) {
      keep_line_part(a, bytes, newline - bytes);
      a->take_line(a->owner, a->line, a->line_size);
      a->line_size = 0;
    } else {
      a->take_line(a->owner, bytes, newline - bytes);
    }
  }
  if (bytes < end)
    keep_line_part(a, bytes, end - bytes);
}

static int hex_digit(char character) {
  if (character >= '0' && character <= '9')
    return character - '0';
  character |= 32;
  return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

static void take_chunked(struct answer *a, const char *bytes, const char *end) {
  while (bytes < end && a->phase == BODY) {
    switch (a->chunk_phase) {
    case CHUNK_SIZE:
    case CHUNK_EXTENSION: {
      char character = *bytes++;
      int digit = hex_digit(character);
      if (character == '\n')
        a->chunk_phase = a->chunk_left ? CHUNK_DATA : CHUNK_TRAILER;
      else if (character == ';')
        a->chunk_phase = CHUNK_EXTENSION;
      else if (a->chunk_phase == CHUNK_SIZE && digit >= 0)
        a->chunk_left = a->chunk_left * 16 + digit;
      break;
    }
    case CHUNK_DATA: {
      size_t size = a->chunk_left < (size_t)(end - bytes) ? a->chunk_left : (size_t)(end - bytes);
      take_text(a, bytes, size);
      bytes += size;
      a->chunk_left -= size;
      if (!a->chunk_left)
        a->chunk_phase = CHUNK_CR;
      break;
    }
    case CHUNK_CR:
      bytes++;
      a->chunk_phase = CHUNK_LF;
      break;
    case CHUNK_LF:
      bytes++;
      a->chunk_phase = CHUNK_SIZE;
      break;
    case CHUNK_TRAILER: {
      const char *newline = memchr(bytes, '\n', end - bytes);
      if (!newline)
        return;
      bytes = newline + 1;
      a->phase = WHOLE;
      break;
    }
    }
  }
}

size_t answer_take_head(struct answer *a, const char *bytes, size_t size) {
  if (!a->head)
    a->head = malloc(HEAD_ROOM);
  size_t before = a->head_size, room = HEAD_ROOM - 1 - before;
  if (size > room)
    size = room;
  memcpy(a->head + before, bytes, size);
  a->head_size += size;
  a->head[a->head_size] = 0;
  char *end = strstr(a->head, "\r\n\r\n");
  if (!end)
    return size;
  size_t used = end + 4 - a->head - before;
  end[2] = 0;

  a->status = atoi(a->head + 9);
  for (char *line = a->head; (line = strchr(line, '\n')); line++) {
    if (!strncasecmp(line + 1, "transfer-encoding:", 18) && strcasestr(line + 19, "chunked"))
      a->chunked = true;
    if (!strncasecmp(line + 1, "content-length:", 15))
      a->length_left = atol(line + 16);
    if (!strncasecmp(line + 1, "connection: close", 17))
      a->closes = true;
  }
  if (!a->chunked && a->length_left < 0)
    a->closes = true;
  a->phase = BODY;
  return used;
}

void answer_take_body(struct answer *a, const char *bytes, size_t size) {
  if (a->chunked) {
    take_chunked(a, bytes, bytes + size);
    return;
  }
  if (a->length_left >= 0 && (size_t)a->length_left < size)
    size = a->length_left;
  take_text(a, bytes, size);
  if (a->length_left >= 0 && !(a->length_left -= size))
    a->phase = WHOLE;
}
