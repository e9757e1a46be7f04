// A token of ten characters that carries its own proof: a space, seven characters of CLOCK_MONOTONIC
// microseconds at the moment it was written, two characters of sequence number, in base64's URL alphabet.
// Whoever reads it knows how long it was under way, and sees loss, repetition and disorder.
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define TOKEN_CHARS 10
#define TOKEN_CLOCK_MASK ((1ull << 42) - 1) // 7 characters of 6 bits
#define TOKEN_SEQUENCE_MASK 4095            // 2 characters of 6 bits

static const char TOKEN_ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

// Writes exactly TOKEN_CHARS characters, without a terminating zero.
static inline void token_write(char *token, uint64_t written_us, long sequence) {
  token[0] = ' ';
  for (int i = 7; i >= 1; i--) {
    token[i] = TOKEN_ALPHABET[written_us & 63];
    written_us >>= 6;
  }
  token[8] = TOKEN_ALPHABET[(sequence >> 6) & 63];
  token[9] = TOKEN_ALPHABET[sequence & 63];
}

static inline unsigned token_digit(char character) {
  static unsigned char digit_of[256];
  static bool ready;
  if (!ready) {
    for (int i = 0; i < 64; i++)
      digit_of[(unsigned char)TOKEN_ALPHABET[i]] = i;
    ready = true;
  }
  return digit_of[(unsigned char)character];
}

// False where no token can start. written_us is cut to TOKEN_CLOCK_MASK.
static inline bool token_read(const char *token, uint64_t *written_us, int *sequence) {
  *written_us = 0;
  for (int i = 1; i <= 7; i++)
    *written_us = *written_us << 6 | token_digit(token[i]);
  *sequence = token_digit(token[8]) << 6 | token_digit(token[9]);
  return token[0] == ' ';
}

// What the prompt asks for, wherever in the request it ended up: `[[n=500 r=20 p=0 a=0 w=0]]`.
// The LAST marker counts, so that a gateway that sends the history along does no harm.
struct marker {
  long tokens;          // n
  double tokens_per_s;  // r; 0: as fast as possible
  long wait_ms;         // p: before the first token
  bool aligned;         // a: token times of all streams on the same ticks, as a batching server has them
  bool whole;           // w: the answer in one piece (MQTT worker only)
};

bool marker_find(const char *text, size_t length, struct marker *marker);

#endif
