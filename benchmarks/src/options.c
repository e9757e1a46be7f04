// The load generator's command line.
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options = {.host = "127.0.0.1",
                          .path = "/",
                          .method = "POST",
                          .port = 80,
                          .streams = 1,
                          .requests = 1,
                          .keepalive = true,
                          .timeout_s = 120};

static void add_header(const char *line) {
  size_t used = strlen(options.headers);
  if ((size_t)snprintf(options.headers + used, sizeof options.headers - used, "%s\r\n", line) >=
      sizeof options.headers - used) {
    fprintf(stderr, "too many headers\n");
    exit(2);
  }
}

void options_read(int argc, char **argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--host"))
      options.host = value;
    else if (!strcmp(name, "--port"))
      options.port = atoi(value);
    else if (!strcmp(name, "--path"))
      options.path = value;
    else if (!strcmp(name, "--method"))
      options.method = value;
    else if (!strcmp(name, "--body-file"))
      options.body_file = value;
    else if (!strcmp(name, "--header"))
      add_header(value);
    else if (!strcmp(name, "-c"))
      options.streams = atoi(value);
    else if (!strcmp(name, "-n"))
      options.requests = atoi(value);
    else if (!strcmp(name, "--expect"))
      options.expected_tokens = atoi(value);
    else if (!strcmp(name, "--ramp"))
      options.ramp_s = atof(value);
    else if (!strcmp(name, "--keepalive"))
      options.keepalive = atoi(value);
    else if (!strcmp(name, "--timeout"))
      options.timeout_s = atof(value);
    else {
      fprintf(stderr, "unknown option %s\n", name);
      exit(2);
    }
  }
}
