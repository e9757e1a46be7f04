// A fake MQTT worker: one thread, one connection to the broker, plain MQTT 3.1.1 with QoS 1. It answers every
// request in its inbox as the marker in the prompt says (token.h): `accept`, one `chunk` per token, `end`; or
// with w=1 one `reply`. It does not coalesce: one frame per token is what the benchmark counts.
// Sluice over MQTT, protocol version 1. Prints "ready" when it can be asked.
//
// usage: worker BROKER_PORT [NAME [TOPIC_ROOT]]        the broker is on 127.0.0.1
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mqtt.h"
#include "schedule.h"
#include "token.h"

#define ID_ROOM 65
#define TOPIC_ROOM 320
#define PAYLOAD_ROOM 65536 // a whole answer; longer ones are cut to MOST_WHOLE_TOKENS
#define MOST_WHOLE_TOKENS 6000
#define READ_ROOM 65536

struct reply {
  struct turn turn; // first: schedule.h
  struct reply *next;
  char id[ID_ROOM], topic[TOPIC_ROOM];
  long tokens, sent;
};

static struct reply *replies;
static char inbox[TOPIC_ROOM], status_topic[TOPIC_ROOM];
static const char *name = "bench-worker", *root = "sluice/v1";

static struct {
  int fd;
  char *in;
  size_t in_size, in_room;
  char *out;
  size_t out_size, out_sent, out_room;
  uint16_t packet_id;
} broker;

static void give_up(const char *why) {
  fprintf(stderr, "worker: %s: %s\n", why, strerror(errno));
  exit(1);
}

static void send_rest(void) {
  while (broker.out_sent < broker.out_size) {
    ssize_t written = send(broker.fd, broker.out + broker.out_sent, broker.out_size - broker.out_sent, MSG_NOSIGNAL);
    if (written < 0 && errno == EAGAIN)
      return;
    if (written < 0)
      give_up("broker");
    broker.out_sent += written;
  }
  broker.out_size = broker.out_sent = 0;
}

static char *room_for(size_t size) {
  if (broker.out_size + size > broker.out_room)
    broker.out = realloc(broker.out, broker.out_room = (broker.out_size + size) * 2);
  return broker.out + broker.out_size;
}

// Broker acknowledgements are not waited for: TCP keeps what it took, and a frame that a broker drops is to show
// as a loss.
static void publish(const char *topic, const char *payload, size_t size, bool retained) {
  if (!++broker.packet_id)
    broker.packet_id = 1;
  char *to = room_for(size + strlen(topic) + 16);
  broker.out_size += mqtt_write_publish(to, broker.packet_id, topic, payload, size, retained);
  send_rest();
}

static void forget(struct reply *reply) {
  for (struct reply **link = &replies; *link; link = &(*link)->next)
    if (*link == reply) {
      *link = reply->next;
      break;
    }
  schedule_drop(&reply->turn);
  free(reply);
}

static void send_token(struct reply *reply, uint64_t at_ns) {
  char token[TOKEN_CHARS], payload[512];
  token_write(token, at_ns / 1000, reply->sent++);
  int size = sprintf(payload, "{\"type\":\"chunk\",\"id\":\"%s\",\"seq\":%ld,\"text\":\"%.10s\"}", reply->id,
                     reply->sent, token);
  publish(reply->topic, payload, size, false);
  if (reply->sent < reply->tokens)
    return;
  size = sprintf(payload,
                 "{\"type\":\"end\",\"id\":\"%s\",\"seq\":%ld,\"reason\":\"stop\",\"usage\":{\"prompt_tokens\":11,"
                 "\"completion_tokens\":%ld,\"total_tokens\":%ld},\"length\":%ld}",
                 reply->id, reply->sent + 1, reply->sent, reply->sent + 11, reply->sent * TOKEN_CHARS);
  publish(reply->topic, payload, size, false);
  forget(reply);
}

static void send_whole(const char *id, const char *topic, long tokens) {
  static char payload[PAYLOAD_ROOM];
  uint64_t written_us = now_ns() / 1000;
  if (tokens > MOST_WHOLE_TOKENS)
    tokens = MOST_WHOLE_TOKENS;
  char *at = payload + sprintf(payload, "{\"type\":\"reply\",\"id\":\"%s\",\"text\":\"", id);
  for (long i = 0; i < tokens; i++, at += TOKEN_CHARS)
    token_write(at, written_us, i);
  at += sprintf(at, "\",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":%ld,\"total_tokens\":%ld}}", tokens,
                tokens + 11);
  publish(topic, payload, at - payload, false);
}

// The string value of a field that needs no escapes; false when it is missing or too long.
static bool read_field(const char *json, size_t size, const char *field, char *value, size_t room) {
  const char *end = json + size, *at = memmem(json, size, field, strlen(field));
  if (!at)
    return false;
  at += strlen(field);
  while (at < end && (*at == ' ' || *at == ':'))
    at++;
  if (at >= end || *at++ != '"')
    return false;
  const char *close = memchr(at, '"', end - at);
  if (!close || (size_t)(close - at) >= room)
    return false;
  memcpy(value, at, close - at);
  value[close - at] = 0;
  return true;
}

static void answer(const char *id, const char *topic, const struct marker *wished) {
  if (wished->whole) {
    send_whole(id, topic, wished->tokens);
    return;
  }
  char payload[256];
  int size = sprintf(payload, "{\"type\":\"accept\",\"id\":\"%s\",\"seq\":0,\"queue\":0}", id);
  publish(topic, payload, size, false);

  struct reply *reply = calloc(1, sizeof *reply);
  strcpy(reply->id, id);
  strcpy(reply->topic, topic);
  reply->tokens = wished->tokens < 1 ? 1 : wished->tokens;
  reply->next = replies;
  replies = reply;
  schedule_start(&reply->turn);
  if (wished->tokens_per_s > 0) {
    reply->turn.period_ns = (uint64_t)(1e9 / wished->tokens_per_s);
    reply->turn.due_ns = now_ns();
    schedule_pace(&reply->turn);
  } else {
    schedule_hurry(&reply->turn);
  }
}

static void cancel(const char *id) {
  struct reply *reply = replies;
  while (reply && strcmp(reply->id, id))
    reply = reply->next;
  if (!reply)
    return;
  char payload[256];
  int size = sprintf(payload, "{\"type\":\"error\",\"id\":\"%s\",\"code\":\"cancelled\",\"message\":\"cancelled\","
                              "\"retryable\":false}", id);
  publish(reply->topic, payload, size, false);
  forget(reply);
}

static void take_message(const char *payload, size_t size) {
  char type[16], id[ID_ROOM], topic[TOPIC_ROOM];
  if (!read_field(payload, size, "\"type\"", type, sizeof type) ||
      !read_field(payload, size, "\"id\"", id, sizeof id))
    return;
  struct marker wished = {.tokens = 16};
  if (!strcmp(type, "cancel")) {
    cancel(id);
  } else if (!strcmp(type, "request") && read_field(payload, size, "\"reply_to\"", topic, sizeof topic)) {
    marker_find(payload, size, &wished);
    answer(id, topic, &wished);
  }
}

static void publish_status(void) {
  char payload[512];
  int size = sprintf(payload,
                     "{\"v\":1,\"type\":\"status\",\"name\":\"%s\",\"incarnation\":1,\"state\":\"ready\","
                     "\"models\":[\"fake\"],\"stream\":true,\"accept_s\":10,\"max\":4000,\"busy\":0}", name);
  publish(status_topic, payload, size, true);
}

static void take_packet(const struct packet *packet) {
  if (packet->type == CONNACK) {
    broker.out_size += mqtt_write_subscribe(room_for(TOPIC_ROOM + 16), 1, inbox);
    send_rest();
  } else if (packet->type == SUBACK) {
    publish_status();
    puts("ready");
    fflush(stdout);
  } else if (packet->type == PUBLISH) {
    if (packet->qos) {
      broker.out_size += mqtt_write_puback(room_for(16), packet->packet_id);
      send_rest();
    }
    take_message(packet->payload, packet->payload_size);
  }
}

static void read_packets(void) {
  if (broker.in_room - broker.in_size < READ_ROOM)
    broker.in = realloc(broker.in, broker.in_room = broker.in_size + 2 * READ_ROOM);
  ssize_t got = recv(broker.fd, broker.in + broker.in_size, broker.in_room - broker.in_size, 0);
  if (got < 0 && errno == EAGAIN)
    return;
  if (got == 0)
    errno = ECONNRESET; // it hung up: another client with our name, or a packet it did not like
  if (got <= 0)
    give_up("broker");
  broker.in_size += got;

  struct packet packet;
  size_t taken = 0;
  while (taken < broker.in_size && mqtt_read(broker.in + taken, broker.in_size - taken, &packet)) {
    take_packet(&packet);
    taken += packet.size;
  }
  memmove(broker.in, broker.in + taken, broker.in_size - taken);
  broker.in_size -= taken;
}

static void wait_for_broker(void) {
  bool full = broker.out_size > 0;
  struct timespec wait = {0, 0}, *limit = &wait;
  if (!schedule_eager_size || full) {
    limit = NULL;
    if (schedule_heap_size) {
      uint64_t now = now_ns(), due = schedule_heap[0]->due_ns, left = due > now ? due - now : 0;
      wait.tv_sec = left / 1000000000ull;
      wait.tv_nsec = left % 1000000000ull;
      limit = &wait;
    }
  }
  struct pollfd socket = {.fd = broker.fd, .events = POLLIN | (full ? POLLOUT : 0)};
  if (ppoll(&socket, 1, limit, NULL) <= 0)
    return;
  if (socket.revents & POLLOUT)
    send_rest();
  if (socket.revents & (POLLIN | POLLHUP | POLLERR))
    read_packets();
}

static void send_due_tokens(void) {
  uint64_t now = now_ns();
  while (schedule_heap_size && schedule_heap[0]->due_ns <= now) {
    struct reply *reply = (struct reply *)schedule_heap[0];
    schedule_repeat_first();
    send_token(reply, now);
  }
}

static void send_eager_tokens(void) {
  for (int i = schedule_eager_size - 1; i >= 0 && !broker.out_size; i--)
    send_token((struct reply *)schedule_eager[i], now_ns());
}

static void connect_to(int port) {
  int on = 1;
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  broker.fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(broker.fd, (struct sockaddr *)&address, sizeof address))
    give_up("connect");
  setsockopt(broker.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(broker.fd, F_SETFL, O_NONBLOCK);
  broker.out_size = mqtt_write_connect(room_for(256), name);
  send_rest();
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: worker BROKER_PORT [NAME [TOPIC_ROOT]]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (argc > 2)
    name = argv[2];
  if (argc > 3)
    root = argv[3];
  snprintf(inbox, sizeof inbox, "%s/workers/%s/inbox", root, name);
  snprintf(status_topic, sizeof status_topic, "%s/workers/%s/status", root, name);
  connect_to(atoi(argv[1]));
  for (;;) {
    wait_for_broker();
    send_due_tokens();
    send_eager_tokens();
  }
}
