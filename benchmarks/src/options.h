// usage: loadgen --port P [--host 127.0.0.1] [--path /] [--method POST] [--body-file FILE] [--header 'Name: value']...
//                [-c STREAMS] [-n REQUESTS] [--expect TOKENS] [--ramp SECONDS] [--timeout SECONDS] [--keepalive 0|1]
//
// `@@INDEX@` anywhere in the request becomes its number in 8 digits. --ramp spreads the first `-c` requests.
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

struct options {
  const char *host, *path, *method, *body_file;
  char headers[32768];
  int port, streams, requests, expected_tokens;
  bool keepalive;
  double ramp_s, timeout_s;
};

extern struct options options;

// Ends the program when it does not know one.
void options_read(int argc, char **argv);

#endif
