// A fake llama.cpp server: one thread, epoll. Every POST is answered with a stream of chat.completion.chunk
// frames, as long and as fast as the marker in its prompt says (token.h), without one "max_tokens" long.
// Each token is one write(), TCP_NODELAY, chunked encoding.
// GET /stats gives counters (`aborted` shows a client's stop arrive); any other GET a small JSON for health
// checks and model lists.
//
// usage: upstream [PORT]        listens on 127.0.0.1 only
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schedule.h"
#include "token.h"

#define READ_ROOM 16384
#define EVENTS 256

struct connection {
  struct turn turn; // first: schedule.h
  int fd;
  bool streaming;
  bool blocked; // waits for EPOLLOUT
  char *in;
  size_t in_size, in_room;
  char *out;
  size_t out_size, out_sent, out_room;
  long tokens, sent;
  char frame[1024]; // the stream's token frame, made once; only its ten characters change
  int frame_size, token_at;
};

static int epoll;
static struct {
  uint64_t requests, done, aborted, active, peak_active, tokens, connections;
} stats;

static int handle_requests(struct connection *c);

static void close_connection(struct connection *c) {
  if (c->streaming) {
    stats.aborted++;
    stats.active--;
  }
  schedule_drop(&c->turn);
  close(c->fd);
  free(c->in);
  free(c->out);
  free(c);
}

static void watch_writable(struct connection *c, bool wanted) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (wanted ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
  c->blocked = wanted;
}

// 1: all written; 0: the socket is full and the rest kept; -1: the connection is dead.
static int put(struct connection *c, const char *bytes, size_t size) {
  if (c->out_size == c->out_sent) {
    ssize_t written = send(c->fd, bytes, size, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno != EAGAIN)
        return -1;
      written = 0;
    }
    if ((size_t)written == size)
      return 1;
    bytes += written;
    size -= written;
    c->out_size = c->out_sent = 0;
  }
  if (c->out_size + size > c->out_room)
    c->out = realloc(c->out, c->out_room = (c->out_size + size) * 2);
  memcpy(c->out + c->out_size, bytes, size);
  c->out_size += size;
  if (!c->blocked)
    watch_writable(c, true);
  return 0;
}

// The same answers as put().
static int put_rest(struct connection *c) {
  while (c->out_sent < c->out_size) {
    ssize_t written = send(c->fd, c->out + c->out_sent, c->out_size - c->out_sent, MSG_NOSIGNAL);
    if (written < 0)
      return errno == EAGAIN ? 0 : -1;
    c->out_sent += written;
  }
  c->out_sent = c->out_size = 0;
  watch_writable(c, false);
  return 1;
}

static char reply_id[33];

// One SSE frame as one HTTP chunk; returns its size.
static int write_frame(char *to, const char *choice, const char *more) {
  char frame[900];
  int size = sprintf(frame,
                     "data: {\"choices\":[%s],\"created\":1735689600,\"id\":\"chatcmpl-%s\",\"model\":\"fake\","
                     "\"system_fingerprint\":\"b4869-2c9f833d\",\"object\":\"chat.completion.chunk\"%s}\n\n",
                     choice, reply_id, more);
  return sprintf(to, "%x\r\n%s\r\n", size, frame);
}

static int finish_stream(struct connection *c) {
  char usage[300];
  sprintf(usage,
          ",\"usage\":{\"completion_tokens\":%ld,\"prompt_tokens\":11,\"total_tokens\":%ld},"
          "\"timings\":{\"prompt_n\":11,\"prompt_ms\":12.5,\"predicted_n\":%ld,\"predicted_ms\":345.6}",
          c->tokens, c->tokens + 11, c->tokens);
  char bytes[2048];
  int size = write_frame(bytes, "{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}", "");
  size += write_frame(bytes + size, "", usage);
  size += sprintf(bytes + size, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");

  c->streaming = false;
  stats.active--;
  stats.done++;
  schedule_drop(&c->turn);
  if (put(c, bytes, size) < 0)
    return -1;
  return handle_requests(c);
}

// The same answers as put().
static int send_token(struct connection *c, uint64_t at_ns) {
  token_write(c->frame + c->token_at, at_ns / 1000, c->sent);
  c->sent++;
  stats.tokens++;
  int result = put(c, c->frame, c->frame_size);
  if (result < 0)
    return -1;
  if (c->sent >= c->tokens)
    return finish_stream(c) < 0 ? -1 : 0;
  return result;
}

static int start_stream(struct connection *c, const char *body, size_t body_size) {
  struct marker wished = {.tokens = 16};
  if (!marker_find(body, body_size, &wished)) {
    const char *found = memmem(body, body_size, "\"max_tokens\":", 13);
    if (found)
      wished.tokens = atol(found + 13);
  }

  c->tokens = wished.tokens < 1 ? 1 : wished.tokens;
  c->sent = 0;
  c->streaming = true;
  c->turn.period_ns = wished.tokens_per_s > 0 ? (uint64_t)(1e9 / wished.tokens_per_s) : 0;
  stats.requests++;
  if (++stats.active > stats.peak_active)
    stats.peak_active = stats.active;

  for (int i = 0; i < 32; i++)
    reply_id[i] = TOKEN_ALPHABET[rand() % 62];
  const char *blank = " .........";
  c->frame_size = write_frame(
      c->frame, "{\"finish_reason\":null,\"index\":0,\"delta\":{\"content\":\" .........\"}}", "");
  c->token_at = strstr(c->frame, blank) - c->frame;

  char bytes[2048];
  int size = sprintf(bytes, "HTTP/1.1 200 OK\r\n"
                            "Server: llama.cpp\r\n"
                            "Access-Control-Allow-Origin: *\r\n"
                            "Content-Type: text/event-stream\r\n"
                            "Keep-Alive: timeout=60, max=100000\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n");
  size += write_frame(bytes + size,
                      "{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}",
                      "");
  int result = put(c, bytes, size);
  if (result < 0)
    return -1;

  if (c->turn.period_ns || wished.wait_ms) {
    c->turn.due_ns = now_ns() + wished.wait_ms * 1000000ull;
    if (wished.aligned && c->turn.period_ns)
      c->turn.due_ns = (c->turn.due_ns / c->turn.period_ns + 1) * c->turn.period_ns;
    schedule_pace(&c->turn);
  } else if (result == 1) {
    schedule_hurry(&c->turn);
  }
  return 0;
}

static int answer_get(struct connection *c) {
  char json[512], bytes[1024];
  if (!strncmp(c->in, "GET /stats", 10)) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    sprintf(json,
            "{\"requests\":%lu,\"done\":%lu,\"aborted\":%lu,\"active\":%lu,\"peak_active\":%lu,\"tokens\":%lu,"
            "\"connections\":%lu,\"cpu_s\":%.6f}",
            stats.requests, stats.done, stats.aborted, stats.active, stats.peak_active, stats.tokens,
            stats.connections,
            used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
  } else {
    sprintf(json, "{\"status\":\"ok\",\"object\":\"list\",\"data\":[{\"id\":\"fake\",\"object\":\"model\"}]}");
  }
  int size = sprintf(bytes, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(json), json);
  return put(c, bytes, size);
}

// Takes the complete requests out of the input, until one of them starts a stream. -1: the connection is dead.
static int handle_requests(struct connection *c) {
  while (!c->streaming && c->in_size) {
    char *head_end = memmem(c->in, c->in_size, "\r\n\r\n", 4);
    if (!head_end)
      return 0;
    size_t head_size = head_end + 4 - c->in, body_size = 0;
    bool chunked = false;
    *head_end = 0; // ends the string for the searches below
    for (char *line = c->in; (line = strchr(line, '\n')); line++) {
      if (!strncasecmp(line + 1, "content-length:", 15))
        body_size = atol(line + 16);
      if (!strncasecmp(line + 1, "transfer-encoding: chunked", 26))
        chunked = true;
    }
    *head_end = '\r';

    char *body = c->in + head_size;
    size_t request_size = head_size + body_size;
    if (chunked) { // the marker is found in raw chunks as well
      char *last_chunk = memmem(body, c->in_size - head_size, "0\r\n\r\n", 5);
      if (!last_chunk)
        return 0;
      body_size = last_chunk - body;
      request_size = head_size + body_size + 5;
    }
    if (c->in_size < request_size)
      return 0;

    int result = strncmp(c->in, "POST", 4) ? answer_get(c) : start_stream(c, body, body_size);
    if (result < 0)
      return -1;
    memmove(c->in, c->in + request_size, c->in_size - request_size);
    c->in_size -= request_size;
  }
  return 0;
}

// -1: the connection is dead.
static int read_all(struct connection *c) {
  for (;;) {
    if (c->in_room - c->in_size < READ_ROOM)
      c->in = realloc(c->in, c->in_room = c->in_room ? c->in_room * 2 : 2 * READ_ROOM);
    ssize_t got = recv(c->fd, c->in + c->in_size, c->in_room - c->in_size - 1, 0);
    if (got <= 0)
      return got < 0 && errno == EAGAIN ? 0 : -1;
    c->in_size += got;
  }
}

static void accept_all(int listener) {
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *c = calloc(1, sizeof *c);
    c->fd = fd;
    schedule_start(&c->turn);
    stats.connections++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static void handle_event(struct connection *c, uint32_t events) {
  bool dead = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
  if (!dead && events & EPOLLIN)
    dead = read_all(c) < 0 || handle_requests(c) < 0;
  if (!dead && c->blocked && events & EPOLLOUT) {
    int result = put_rest(c);
    dead = result < 0;
    if (result == 1 && c->streaming && c->turn.heap_at < 0)
      schedule_hurry(&c->turn);
  }
  if (dead)
    close_connection(c);
}

static void wait_for_events(int listener) {
  struct timespec wait = {0, 0}, *limit = schedule_eager_size || schedule_heap_size ? &wait : NULL;
  if (!schedule_eager_size && schedule_heap_size) {
    uint64_t now = now_ns(), due = schedule_heap[0]->due_ns;
    if (due > now) {
      wait.tv_sec = (due - now) / 1000000000ull;
      wait.tv_nsec = (due - now) % 1000000000ull;
    }
  }
  struct epoll_event events[EVENTS];
  int count = epoll_pwait2(epoll, events, EVENTS, limit, NULL);
  for (int i = 0; i < count; i++) {
    if (events[i].data.ptr)
      handle_event(events[i].data.ptr, events[i].events);
    else
      accept_all(listener);
  }
}

static void send_due_tokens(void) {
  uint64_t now = now_ns();
  while (schedule_heap_size && schedule_heap[0]->due_ns <= now) {
    struct connection *c = (struct connection *)schedule_heap[0];
    if (!c->turn.period_ns) { // has waited before its first token, goes on flat out
      schedule_drop(&c->turn);
      schedule_hurry(&c->turn);
      continue;
    }
    schedule_repeat_first();
    if (send_token(c, now) < 0)
      close_connection(c);
  }
}

static void send_eager_tokens(void) {
  for (int i = schedule_eager_size - 1; i >= 0; i--) {
    if (i >= schedule_eager_size)
      continue; // others left meanwhile
    struct connection *c = (struct connection *)schedule_eager[i];
    int result = send_token(c, now_ns());
    if (result < 0)
      close_connection(c);
    else if (result == 0 && c->streaming)
      schedule_calm(&c->turn); // until the socket takes more
  }
}

static int listen_on(int port) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) {
    perror("listen");
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  int listener = listen_on(argc > 1 ? atoi(argv[1]) : 9100);
  epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);

  for (unsigned round = 0;; round++) {
    if (!schedule_eager_size || round % 16 == 0) // flat-out streams need not look at the sockets every time
      wait_for_events(listener);
    send_due_tokens();
    send_eager_tokens();
  }
}
