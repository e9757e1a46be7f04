// The few MQTT 3.1.1 packets a worker needs; MQTT 3.1.1 section numbers in brackets.
#ifndef MQTT_H
#define MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_type { CONNACK = 2, PUBLISH = 3, SUBACK = 9 };

struct packet {
  enum packet_type type;
  size_t size; // of the whole packet
  // PUBLISH only
  int qos;
  uint16_t packet_id;
  const char *payload;
  size_t payload_size;
};

// Each writes one packet and returns its size. `to` needs room for topic, payload and 16 bytes more.
size_t mqtt_write_connect(char *to, const char *client_id);                              // [3.1] clean, no keep-alive
size_t mqtt_write_subscribe(char *to, uint16_t packet_id, const char *topic);            // [3.8] QoS 1
size_t mqtt_write_publish(char *to, uint16_t packet_id, const char *topic, const char *payload,
                          size_t payload_size, bool retained);                           // [3.3] QoS 1
size_t mqtt_write_puback(char *to, uint16_t packet_id);                                  // [3.4]

// False while the first packet is not whole. Its payload points into `bytes`.
bool mqtt_read(const char *bytes, size_t size, struct packet *packet);

#endif
