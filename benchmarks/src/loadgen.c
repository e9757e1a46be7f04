// A load generator for streams of SSE: one thread, epoll. Keeps `-c` streams open until `-n` requests are through,
// reads the proof in every token (token.h) and prints one line of JSON.
// Exit code 1 when a stream failed, was left unfinished or lost, repeated or reordered a token.
//
// usage: options.h
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answer.h"
#include "histogram.h"
#include "options.h"
#include "sse.h"
#include "token.h"

#define HEAD_ROOM 65536
#define BODY_ROOM (1 << 22)
#define READ_ROOM (1 << 18)
#define EVENTS 512

struct connection {
  int fd; // -1: not connected
  bool busy, connecting;
  struct answer answer;
  // the stream in it
  long tokens;
  int sequence; // of the last token
  bool done, errored;
  char error[200];
  uint64_t due_us, begun_us, last_token_us;
  // the request
  char *request;
  size_t sent;
};

static int epoll;
static struct connection *connections;
static struct sockaddr_in address;
static char *request_template;
static size_t request_size;
static uint64_t read_us; // when the bytes that are being looked at were read

static struct {
  long started, finished, ok, failed, bad_sequence;
  uint64_t tokens, frames, reads, bytes, connections;
  uint64_t first_token_us, last_token_us;
  char last_error[400];
  // microseconds: from the request to the head, to the first token, to the end; from a token's write to our read,
  // for all tokens and for the first ones; between two tokens
  struct histogram head, first_token, whole, relay, first_relay, gap;
} seen;

static uint64_t now_us(void) {
  return now_ns() / 1000;
}

static void watch(struct connection *c, bool writable) {
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void hang_up(struct connection *c) {
  close(c->fd);
  c->fd = -1;
  c->connecting = false;
}

static void keep_error(struct connection *c, const char *bytes, size_t size) {
  if (size > sizeof c->error - 1)
    size = sizeof c->error - 1;
  memcpy(c->error, bytes, size);
  c->error[size] = 0;
}

// trouble: NULL when the answer came to its end, which may still be the wrong end.
static void end_request(struct connection *c, const char *trouble) {
  if (!c->busy)
    return;
  c->busy = false;
  seen.finished++;
  if (!trouble && c->answer.status != 200)
    trouble = "status";
  if (!trouble && c->errored)
    trouble = "error event";
  if (!trouble && options.expected_tokens && c->tokens != options.expected_tokens)
    trouble = "token count";

  if (!trouble) {
    seen.ok++;
    histogram_add(&seen.whole, now_us() - c->begun_us);
  } else {
    seen.failed++;
    snprintf(seen.last_error, sizeof seen.last_error, "%s status=%d tokens=%ld done=%d errno=%d %.200s", trouble,
             c->answer.status, c->tokens, c->done, errno, c->error);
    for (char *p = seen.last_error; *p; p++) // it goes into a JSON string
      if (*p == '"' || *p == '\\' || (unsigned char)*p < 32)
        *p = '\'';
  }
  if (trouble || !options.keepalive || c->answer.closes || c->answer.phase != WHOLE)
    hang_up(c);
}

static void send_request(struct connection *c) {
  while (c->sent < request_size) {
    ssize_t written = send(c->fd, c->request + c->sent, request_size - c->sent, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EAGAIN)
        watch(c, true);
      else
        end_request(c, "send");
      return;
    }
    c->sent += written;
  }
  watch(c, false);
}

static void begin_request(struct connection *c) {
  long index = seen.started++;
  c->busy = true;
  answer_start(&c->answer);
  c->sent = c->tokens = 0;
  c->sequence = -1;
  c->done = c->errored = false;
  c->error[0] = 0;

  if (!c->request)
    c->request = malloc(request_size + 1);
  memcpy(c->request, request_template, request_size + 1);
  char digits[16], *place = c->request, *end = c->request + request_size;
  sprintf(digits, "%08ld", index % 100000000);
  while ((place = memmem(place, end - place, "@@INDEX@", 8)))
    memcpy(place, digits, 8);

  c->begun_us = now_us();
  if (c->fd >= 0) {
    send_request(c);
    return;
  }
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  seen.connections++;
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
  c->connecting = true;
  if (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
    end_request(c, "connect");
}

static void take_tokens(struct connection *c, const char *text, const char *text_end) {
  seen.frames++;
  if (!c->tokens)
    histogram_add(&seen.first_token, read_us - c->begun_us);
  if (!seen.first_token_us)
    seen.first_token_us = read_us;

  for (; text_end - text >= TOKEN_CHARS; text += TOKEN_CHARS) {
    uint64_t written_us;
    int sequence;
    bool whole = token_read(text, &written_us, &sequence);
    if (!whole || sequence != ((c->sequence + 1) & TOKEN_SEQUENCE_MASK))
      seen.bad_sequence++;
    c->sequence = sequence;
    int64_t relay_us = (int64_t)((read_us & TOKEN_CLOCK_MASK) - written_us);
    histogram_add(&seen.relay, relay_us);
    if (c->tokens)
      histogram_add(&seen.gap, read_us - c->last_token_us);
    else
      histogram_add(&seen.first_relay, relay_us);
    c->last_token_us = read_us;
    c->tokens++;
    seen.tokens++;
  }
  if (text != text_end)
    seen.bad_sequence++;
  seen.last_token_us = read_us;
}

static void take_line(void *owner, const char *bytes, size_t size) {
  struct connection *c = owner;
  struct sse_line line = sse_read_line(bytes, size);
  if (line.kind == LINE_TEXT) {
    take_tokens(c, line.text, line.text_end);
  } else if (line.kind == LINE_DONE) {
    c->done = true;
  } else if (line.kind == LINE_ERROR) {
    c->errored = true;
    keep_error(c, line.text, line.text_end - line.text);
  }
}

static void take_bytes(struct connection *c, const char *bytes, size_t size) {
  const char *end = bytes + size;
  if (c->answer.phase == HEAD) {
    bytes += answer_take_head(&c->answer, bytes, size);
    if (c->answer.phase == HEAD)
      return;
    histogram_add(&seen.head, read_us - c->begun_us);
    if (c->answer.status != 200)
      keep_error(c, bytes, end - bytes);
  }
  if (c->answer.phase == BODY)
    answer_take_body(&c->answer, bytes, end - bytes);
  if (c->answer.phase == WHOLE)
    end_request(c, NULL);
}

static void read_once(struct connection *c) {
  static char buffer[READ_ROOM];
  ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
  read_us = now_us();
  if (got > 0) {
    seen.reads++;
    seen.bytes += got;
    if (c->busy)
      take_bytes(c, buffer, got);
  } else if (got == 0 || errno != EAGAIN) {
    end_request(c, answer_ends_by_closing(&c->answer) ? NULL : "closed early");
    if (c->fd >= 0)
      hang_up(c);
  }
}

static void handle_event(struct connection *c, uint32_t events) {
  if (c->connecting && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    c->connecting = false;
    errno = error;
    if (error)
      end_request(c, "connect");
    else
      send_request(c);
  } else if (events & EPOLLOUT) {
    send_request(c);
  }
  if (c->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
    read_once(c);
}

// Runs until all requests are through or the time is up; returns the seconds it took.
static double generate_load(void) {
  uint64_t begun = now_us(), deadline = begun + (uint64_t)(options.timeout_s * 1e6), now;
  int first_round = options.streams < options.requests ? options.streams : options.requests, launched = 0;
  connections = calloc(options.streams, sizeof *connections);
  for (int i = 0; i < options.streams; i++) {
    connections[i].fd = -1;
    connections[i].answer.owner = &connections[i];
    connections[i].answer.take_line = take_line;
    connections[i].due_us = begun + (uint64_t)(options.ramp_s * 1e6 * i / options.streams);
  }

  while ((now = now_us()) <= deadline) {
    while (launched < first_round && connections[launched].due_us <= now)
      begin_request(&connections[launched++]);
    if (seen.finished >= options.requests)
      break;

    int wait_ms = 200;
    if (launched < first_round) {
      int64_t until_due_ms = ((int64_t)(connections[launched].due_us - now) + 999) / 1000;
      wait_ms = until_due_ms < 0 ? 0 : until_due_ms > 200 ? 200 : until_due_ms;
    }
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (c->fd >= 0)
        handle_event(c, events[i].events);
      if (!c->busy && c < connections + launched && seen.started < options.requests)
        begin_request(c);
    }
  }
  return (now - begun) / 1e6;
}

static void print_results(double wall_s) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu_s = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"ok\":%ld,\"failed\":%ld,\"unfinished\":%ld,\"not_started\":%ld,\"wall_s\":%.6f,", seen.ok, seen.failed,
         seen.started - seen.finished, options.requests - seen.started, wall_s);
  printf("\"tokens\":%lu,\"frames\":%lu,\"reads\":%lu,\"bytes\":%lu,\"conns\":%lu,\"badseq\":%ld,", seen.tokens,
         seen.frames, seen.reads, seen.bytes, seen.connections, seen.bad_sequence);
  printf("\"tokspan_s\":%.6f,\"client_cpu_s\":%.6f,\"last_error\":\"%s\",",
         (seen.last_token_us - seen.first_token_us) / 1e6, cpu_s, seen.last_error);
  const struct {
    const char *name;
    const struct histogram *histogram;
  } histograms[] = {{"ttft_us", &seen.first_token}, {"first_relay_us", &seen.first_relay}, {"lat_us", &seen.relay},
                    {"gap_us", &seen.gap},          {"hdr_us", &seen.head},                {"dur_us", &seen.whole}};
  for (int i = 0; i < 6; i++) {
    histogram_print(histograms[i].name, histograms[i].histogram);
    printf(i < 5 ? "," : "}\n");
  }
}

static void make_request(void) {
  char *body = NULL;
  size_t body_size = 0;
  if (options.body_file) {
    FILE *file = fopen(options.body_file, "rb");
    if (!file) {
      perror(options.body_file);
      exit(2);
    }
    body = malloc(BODY_ROOM);
    body_size = fread(body, 1, BODY_ROOM - 1, file);
    body[body_size] = 0;
    fclose(file);
  }
  request_template = malloc(body_size + HEAD_ROOM);
  request_size = sprintf(request_template, "%s %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: text/event-stream\r\n%s",
                         options.method, options.path, options.host, options.port, options.headers);
  if (body)
    request_size += sprintf(request_template + request_size,
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", body_size, body);
  else
    request_size += sprintf(request_template + request_size, "\r\n");
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  options_read(argc, argv);
  make_request();
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  if (inet_pton(AF_INET, options.host, &address.sin_addr) != 1) {
    fprintf(stderr, "--host takes an IPv4 address, not %s\n", options.host);
    return 2;
  }
  epoll = epoll_create1(0);
  print_results(generate_load());
  return seen.failed || seen.finished < options.requests || seen.bad_sequence ? 1 : 0;
}
