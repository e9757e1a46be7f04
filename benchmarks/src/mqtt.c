// Writes and reads MQTT 3.1.1 packets in memory; knows no sockets.
#include "mqtt.h"

#include <string.h>

static char *write_length(char *to, size_t length) { // [2.2.3] 7 bits a byte, least significant first
  do {
    *to++ = (length & 127) | (length > 127 ? 128 : 0);
    length >>= 7;
  } while (length);
  return to;
}

static char *write_number(char *to, uint16_t number) {
  *to++ = number >> 8;
  *to++ = number & 255;
  return to;
}

static char *write_bytes(char *to, const char *bytes, size_t size) {
  memcpy(to, bytes, size);
  return to + size;
}

static char *write_string(char *to, const char *string) {
  size_t size = strlen(string);
  return write_bytes(write_number(to, size), string, size);
}

size_t mqtt_write_connect(char *to, const char *client_id) {
  char *at = to;
  *at++ = 0x10;
  at = write_length(at, 10 + 2 + strlen(client_id));
  at = write_string(at, "MQTT");
  *at++ = 4;                // protocol level: 3.1.1
  *at++ = 2;                // clean session
  at = write_number(at, 0); // no keep-alive
  at = write_string(at, client_id);
  return at - to;
}

size_t mqtt_write_subscribe(char *to, uint16_t packet_id, const char *topic) {
  char *at = to;
  *at++ = (char)0x82;
  at = write_length(at, 2 + 2 + strlen(topic) + 1);
  at = write_number(at, packet_id);
  at = write_string(at, topic);
  *at++ = 1;
  return at - to;
}

size_t mqtt_write_publish(char *to, uint16_t packet_id, const char *topic, const char *payload,
                          size_t payload_size, bool retained) {
  char *at = to;
  *at++ = 0x32 | (retained ? 1 : 0);
  at = write_length(at, 2 + strlen(topic) + 2 + payload_size);
  at = write_string(at, topic);
  at = write_number(at, packet_id);
  at = write_bytes(at, payload, payload_size);
  return at - to;
}

size_t mqtt_write_puback(char *to, uint16_t packet_id) {
  to[0] = 0x40;
  to[1] = 2;
  write_number(to + 2, packet_id);
  return 4;
}

static uint16_t read_number(const unsigned char *at) {
  return at[0] << 8 | at[1];
}

bool mqtt_read(const char *bytes, size_t size, struct packet *packet) {
  const unsigned char *at = (const unsigned char *)bytes + 1, *end = (const unsigned char *)bytes + size;
  size_t length = 0;
  for (int shift = 0;; shift += 7, at++) {
    if (at >= end)
      return false;
    length |= (size_t)(*at & 127) << shift;
    if (*at < 128)
      break;
  }
  at++;
  if ((size_t)(end - at) < length)
    return false;

  unsigned char first = bytes[0];
  *packet = (struct packet){.type = first >> 4, .size = (const char *)at - bytes + length};
  if (packet->type == PUBLISH) {
    const unsigned char *after = at + length;
    packet->qos = first >> 1 & 3;
    at += 2 + read_number(at); // the topic: a worker has one only
    if (packet->qos) {
      packet->packet_id = read_number(at);
      at += 2;
    }
    packet->payload = (const char *)at;
    packet->payload_size = after - at;
  }
  return true;
}
