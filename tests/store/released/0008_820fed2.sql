BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0008');
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
	tool_calls JSON, tool_call_seqs JSON, last_seq BIGINT, response_ms FLOAT, parts BLOB, 
	CONSTRAINT uq_messages_stream_id UNIQUE (stream_id), 
	CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'9ee87e11-9524-420c-b55f-850b19257c21','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'bd0a9451-540b-4f8d-ade5-efdf5bfa21ba','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9,100.25,NULL);
INSERT INTO "messages" VALUES(3,'40581907-a771-458f-928a-7ae060b8a2b1','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'e4b2194c-041f-40da-8e44-c3074c646824','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3,NULL,NULL);
INSERT INTO "messages" VALUES(5,'bcae8628-5a6f-4d40-8f05-8b4fce14c27a','anna',1,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'4624e361-ccb1-4f89-8fb6-853c4fcde324','anna',1,'assistant','cancelled','2026-01-01 23:59:55.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4,NULL,NULL);
INSERT INTO "messages" VALUES(7,'967eb8b6-65da-4c80-bcd4-48bbb6675194','ben',2,'user','complete','2026-01-01 23:59:57.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'1186ab77-e675-42b3-b691-dcc6485103ec','ben',2,'assistant','interrupted','2026-01-01 23:59:57.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3,NULL,NULL);
INSERT INTO "messages" VALUES(9,'51cc9c88-121c-4e22-b9c4-a208a0071602','anna',1,'user','complete','2026-01-02 00:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'163e4b73-abf0-47a7-b8ef-e16465d80995','anna',1,'assistant','streaming','2026-01-02 00:00:00.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'1A486B4159C97892CE64F40D449DCECC4559D2AED28134D8475AAC20E24C7EE2','2026-01-02 00:00:03.000000');
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
INSERT INTO "sessions" VALUES(1,'58c43f7c-e19b-45f3-86f1-a9365c6333d2','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-02 00:00:00.000000','device:robot-1');
INSERT INTO "sessions" VALUES(2,'c7f6c7c4-5e8a-4de2-ac88-9e447d47360e','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:57.000000',NULL);
INSERT INTO "sessions" VALUES(3,'f9d3806a-27dc-46c7-9aad-bda970e351fc','anna-000003','anna','Empty','empty','2026-01-02 00:00:01.000000','2026-01-02 00:00:01.000000',NULL);
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
