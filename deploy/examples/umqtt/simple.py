"""MicroPython's umqtt.simple over paho-mqtt, so that the examples run under plain Python as well."""

from paho.mqtt.client import MQTT_ERR_SUCCESS, CallbackAPIVersion, Client


class MQTTException(Exception):
    """The broker refused the connection."""


class MQTTClient:
    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None):
        self._paho = Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._paho.username_pw_set(user, password)
        if ssl:
            self._paho.tls_set_context(ssl)
        self._address = (server, port or (8883 if ssl else 1883), keepalive)
        self._answers = []
        self._paho.on_connect = lambda _, __, ___, code, ____: self._answers.append(code)
        self._paho.on_subscribe = lambda _, __, ___, codes, ____: self._answers.append(codes[0])

    def set_callback(self, heard):
        self._paho.on_message = lambda _, __, message: heard(message.topic.encode(), message.payload)

    def set_last_will(self, topic, msg, retain=False, qos=0):
        self._paho.will_set(topic.decode(), msg, qos, retain)

    def connect(self, clean_session=True):
        self._paho.connect(*self._address)
        self._wait_for_answer()

    def subscribe(self, topic, qos=0):
        self._paho.subscribe(topic.decode(), qos)
        self._wait_for_answer()

    def publish(self, topic, msg, retain=False, qos=0):
        sent = self._paho.publish(topic.decode(), msg, qos, retain)
        if sent.rc != MQTT_ERR_SUCCESS:
            raise OSError(-1)
        while not sent.is_published():
            self._turn(1)

    def check_msg(self):
        self._turn(0)

    def wait_msg(self):
        self._turn(1)

    def ping(self):
        """Do nothing: paho sends pings by itself."""

    def disconnect(self):
        self._paho.disconnect()
        self._paho.loop(1)

    def _wait_for_answer(self):
        while not self._answers:
            self._turn(1)
        code = self._answers.pop()
        if code.is_failure:
            raise MQTTException(code.value)

    def _turn(self, longest_s):
        if self._paho.loop(longest_s) != MQTT_ERR_SUCCESS:
            raise OSError(-1)
