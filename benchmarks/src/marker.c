// Reads the marker in a prompt that tells a fake model how long and how fast to answer.
#define _GNU_SOURCE
#include <stdlib.h>

#include "token.h"

// False where there is none; then `marker` is untouched.
bool marker_find(const char *text, size_t length, struct marker *marker) {
  const char *end = text + length, *last = NULL, *found = text;
  while ((found = memmem(found, end - found, "[[n=", 4)))
    last = found, found += 4;
  if (!last)
    return false;

  char copy[128];
  size_t copied = (size_t)(end - last) < sizeof copy - 1 ? (size_t)(end - last) : sizeof copy - 1;
  memcpy(copy, last, copied);
  copy[copied] = 0;
  char *close = strstr(copy, "]]"), *value;
  if (close)
    *close = 0;

  *marker = (struct marker){.tokens = atol(copy + 4)};
  if ((value = strstr(copy, " r=")))
    marker->tokens_per_s = atof(value + 3);
  if ((value = strstr(copy, " p=")))
    marker->wait_ms = atol(value + 3);
  if ((value = strstr(copy, " a=")))
    marker->aligned = atol(value + 3);
  if ((value = strstr(copy, " w=")))
    marker->whole = atol(value + 3);
  return true;
}
