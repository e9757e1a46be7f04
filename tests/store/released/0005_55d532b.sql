BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
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
INSERT INTO "api_keys" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','sluice_aaaa','anna','laptop','chat',NULL,NULL,'2026-01-02 00:00:01.000000',NULL,NULL);
CREATE TABLE devices (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT uq_devices_name UNIQUE (name)
);
INSERT INTO "devices" VALUES(1,'anna','robot-1','2026-01-02 00:00:00.000000');
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
	tool_calls JSON, tool_call_seqs JSON, last_seq BIGINT, 
	CONSTRAINT uq_messages_stream_id UNIQUE (stream_id), 
	CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'7205c61e-48a0-4377-af46-627650f1dacc','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'540ad08b-06b5-4b87-8184-a5c68c404028','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9);
INSERT INTO "messages" VALUES(3,'1d6a94b5-c716-4542-9b3f-cce81f60b7a3','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'e68078ff-7c9b-4a7d-b210-731cbf20635a','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3);
INSERT INTO "messages" VALUES(5,'bc6f24a0-9e7b-435c-9f55-9bf4c974f770','anna',1,'user','complete','2026-01-01 23:59:54.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'f048ab5d-e473-4002-8dc8-da6f7b61475b','anna',1,'assistant','cancelled','2026-01-01 23:59:54.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4);
INSERT INTO "messages" VALUES(7,'e41a9a4d-d91f-4c60-8f81-6f4aa1041023','ben',2,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'cf13e01f-3a5e-4c37-b728-6b14db39ab4e','ben',2,'assistant','interrupted','2026-01-01 23:59:55.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3);
INSERT INTO "messages" VALUES(9,'b08e2fc5-dac7-4b70-ba43-8e9a79fa227a','anna',1,'user','complete','2026-01-01 23:59:56.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'91493d21-20ee-44eb-95da-3f332de6a761','anna',1,'assistant','streaming','2026-01-01 23:59:56.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'C2E3A1D131DE84D03AEA212BA3B9A744AAE8FEA1976E3DFBB8D0380802143594','2026-01-01 23:59:59.000000');
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
INSERT INTO "sessions" VALUES(1,'93051093-28b4-48da-aaea-986ab89152e8','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-01 23:59:56.000000','device:robot-1');
INSERT INTO "sessions" VALUES(2,'2f8b0443-b5ee-470b-94ae-09fecb293c7c','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:55.000000',NULL);
INSERT INTO "sessions" VALUES(3,'9fd85e9b-6be3-4e22-98d0-f47bd5a0da63','anna-000003','anna','Empty','empty','2026-01-01 23:59:57.000000','2026-01-01 23:59:57.000000',NULL);
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
INSERT INTO "templates" VALUES(1,'anna','Tor','tiny:1b','2026-01-02 00:00:02.000000','2026-01-02 00:00:02.000000','Sei kurz.','{"temperature": 0.5}');
CREATE INDEX ix_sessions_user_id_updated_at_id ON sessions (user_id, updated_at, id);
CREATE INDEX ix_messages_session_id_id ON messages (session_id, id);
CREATE INDEX ix_messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX ix_idempotency_keys_message_id ON idempotency_keys (message_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
CREATE INDEX ix_sessions_thread ON sessions (user_id, thread, updated_at) WHERE thread IS NOT NULL;
CREATE INDEX ix_templates_user_id ON templates (user_id, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',4);
INSERT INTO "sqlite_sequence" VALUES('messages',10);
INSERT INTO "sqlite_sequence" VALUES('idempotency_keys',1);
INSERT INTO "sqlite_sequence" VALUES('devices',1);
INSERT INTO "sqlite_sequence" VALUES('api_keys',1);
INSERT INTO "sqlite_sequence" VALUES('templates',1);
COMMIT;
