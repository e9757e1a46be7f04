BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0007');
CREATE TABLE api_keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest TEXT NOT NULL, 
	prefix TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	permissions TEXT NOT NULL, 
	rate_per_minute INTEGER, 
	streams INTEGER, 
	created_at DATETIME NOT NULL, 
	last_used_at DATETIME, 
	revoked_at DATETIME, 
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);
INSERT INTO "api_keys" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','sluice_aaaa','anna','laptop','chat',NULL,NULL,'2026-01-02 00:00:05.000000',NULL,NULL);
CREATE TABLE deleted (
	name TEXT NOT NULL, 
	rows BIGINT NOT NULL, 
	CONSTRAINT pk_deleted PRIMARY KEY (name)
);
INSERT INTO "deleted" VALUES('messages',0);
INSERT INTO "deleted" VALUES('sessions',1);
CREATE TABLE devices (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT uq_devices_name UNIQUE (name)
);
INSERT INTO "devices" VALUES(1,'anna','robot-1','2026-01-02 00:00:04.000000');
CREATE TABLE idempotency_keys (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	message_id INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT uq_idempotency_keys_user_id_key UNIQUE (user_id, "key"), 
	CONSTRAINT fk_idempotency_keys_message_id_messages FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
INSERT INTO "idempotency_keys" VALUES(1,'anna','schlüssel','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',2,'2026-01-01 23:59:52.000000');
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	session_id INTEGER NOT NULL, 
	role TEXT NOT NULL, 
	status TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	stream_id TEXT, 
	mode TEXT, 
	delivery TEXT, 
	model TEXT, 
	reason TEXT, 
	error_code TEXT, 
	error_message TEXT, 
	prompt_tokens BIGINT, 
	completion_tokens BIGINT, 
	total_tokens BIGINT, 
	tokens_per_s FLOAT, 
	ttft_ms FLOAT, 
	content TEXT NOT NULL, 
	reasoning TEXT, 
	tool_calls JSON, tool_call_seqs JSON, last_seq BIGINT, response_ms FLOAT, 
	CONSTRAINT uq_messages_stream_id UNIQUE (stream_id), 
	CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'548fffab-790c-4387-b6dc-3d486d98421d','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'59cf1a58-cd1e-4947-9f1b-84b76d075beb','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9,100.25);
INSERT INTO "messages" VALUES(3,'691c51f3-218c-4232-8ce0-36d4c93596bc','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'70160e67-0218-473b-b99d-f42f6baaf8fa','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3,NULL);
INSERT INTO "messages" VALUES(5,'24aba8bf-a2f6-48b4-b8bd-f88cfe385df4','anna',1,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'53afa283-9785-44d9-abbb-4b2b24a73604','anna',1,'assistant','cancelled','2026-01-01 23:59:55.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4,NULL);
INSERT INTO "messages" VALUES(7,'29e02cef-f83e-40ef-ab0d-4927457c7821','ben',2,'user','complete','2026-01-01 23:59:57.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'9e4b84b5-2f0b-4d41-b59d-aafa54548dc1','ben',2,'assistant','interrupted','2026-01-01 23:59:57.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3,NULL);
INSERT INTO "messages" VALUES(9,'1083185e-c85f-4773-9a6b-a221c3222f86','anna',1,'user','complete','2026-01-02 00:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'187f9853-eb69-4d26-8a8f-262c7dccd9d2','anna',1,'assistant','streaming','2026-01-02 00:00:00.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'23B651668B39D90B8A95B1F099D0BCF6D36CEB8FF979B5E178AB602D43BBE4D5','2026-01-02 00:00:03.000000');
CREATE TABLE sessions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	title_folded TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, thread TEXT, 
	CONSTRAINT uq_sessions_uuid UNIQUE (uuid), 
	CONSTRAINT uq_sessions_key UNIQUE ("key")
);
INSERT INTO "sessions" VALUES(1,'dcdb9cb2-8d34-4f0d-bfb0-61e62a7b6b64','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-02 00:00:00.000000','device:robot-1');
INSERT INTO "sessions" VALUES(2,'8939389f-032e-4aeb-806c-964b9db6bab5','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:57.000000',NULL);
INSERT INTO "sessions" VALUES(3,'f6d8d927-2fa3-4f06-bb18-a402d7b01f20','anna-000003','anna','Empty','empty','2026-01-02 00:00:01.000000','2026-01-02 00:00:01.000000',NULL);
CREATE TABLE templates (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	model TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	system_prompt TEXT, 
	sampling JSON NOT NULL
);
INSERT INTO "templates" VALUES(1,'anna','Tor','tiny:1b','2026-01-02 00:00:06.000000','2026-01-02 00:00:06.000000','Sei kurz.','{"temperature": 0.5}');
CREATE TABLE token_usage (
	user_id TEXT NOT NULL, 
	day TEXT NOT NULL, 
	model TEXT NOT NULL, 
	replies BIGINT NOT NULL, 
	tool_calls BIGINT NOT NULL, 
	prompt_tokens BIGINT NOT NULL, 
	completion_tokens BIGINT NOT NULL, 
	total_tokens BIGINT NOT NULL, 
	CONSTRAINT pk_token_usage PRIMARY KEY (user_id, day, model)
)
 WITHOUT ROWID

;
INSERT INTO "token_usage" VALUES('anna','2026-01-01','tiny:1b',2,1,3,4,7);
INSERT INTO "token_usage" VALUES('ben','2026-01-01','',2,0,0,0,0);
CREATE INDEX ix_sessions_user_id_updated_at_id ON sessions (user_id, updated_at, id);
CREATE INDEX ix_messages_session_id_id ON messages (session_id, id);
CREATE INDEX ix_messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX ix_idempotency_keys_message_id ON idempotency_keys (message_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_sessions_thread ON sessions (user_id, thread, updated_at) WHERE thread IS NOT NULL;
CREATE INDEX ix_templates_user_id ON templates (user_id, id);
CREATE INDEX ix_token_usage_day ON token_usage (day);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',4);
INSERT INTO "sqlite_sequence" VALUES('messages',10);
INSERT INTO "sqlite_sequence" VALUES('idempotency_keys',1);
INSERT INTO "sqlite_sequence" VALUES('devices',1);
INSERT INTO "sqlite_sequence" VALUES('api_keys',1);
INSERT INTO "sqlite_sequence" VALUES('templates',1);
COMMIT;
