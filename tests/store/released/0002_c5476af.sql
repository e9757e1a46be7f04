BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
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
INSERT INTO "messages" VALUES(1,'c117a9de-ff05-4029-a0ee-12d44cc7d9d3','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'a51a5519-714d-4ffd-9774-ae372f123082','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9);
INSERT INTO "messages" VALUES(3,'a6805290-ac82-47a8-8921-6293620728cd','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'7502776d-7cbc-4fdf-8ccc-c3d67981ac22','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3);
INSERT INTO "messages" VALUES(5,'de5ab4e0-fb12-4dfe-a29d-715a697be661','anna',1,'user','complete','2026-01-01 23:59:54.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'3bbefbb6-c513-4cc8-8d6b-67602344fe35','anna',1,'assistant','cancelled','2026-01-01 23:59:54.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4);
INSERT INTO "messages" VALUES(7,'9d3f7d91-3735-4d4e-819d-ff26878c8fd0','ben',2,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'2416031b-b0d6-421f-a822-12f32f6a1d2e','ben',2,'assistant','interrupted','2026-01-01 23:59:55.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3);
INSERT INTO "messages" VALUES(9,'b5bf7422-2789-4acf-8757-3701fb475d62','anna',1,'user','complete','2026-01-01 23:59:56.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'aec30db7-ea54-47ce-b75b-15699b227f64','anna',1,'assistant','streaming','2026-01-01 23:59:56.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'BB6166792774A4B5E57EA1658721814E126EDF493399C6FDBF89AF502A4C0A6B','2026-01-01 23:59:58.000000');
CREATE TABLE sessions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	title_folded TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT uq_sessions_uuid UNIQUE (uuid), 
	CONSTRAINT uq_sessions_key UNIQUE ("key")
);
INSERT INTO "sessions" VALUES(1,'ca97d7fd-3db0-4b6c-826e-2ca62b629bff','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-01 23:59:56.000000');
INSERT INTO "sessions" VALUES(2,'166d5bef-bba8-498d-bbc9-1ea21d3dd2b8','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:55.000000');
INSERT INTO "sessions" VALUES(3,'3b837a22-3d9d-420a-9b53-578828364850','anna-000003','anna','Empty','empty','2026-01-01 23:59:57.000000','2026-01-01 23:59:57.000000');
CREATE INDEX ix_sessions_user_id_updated_at_id ON sessions (user_id, updated_at, id);
CREATE INDEX ix_messages_session_id_id ON messages (session_id, id);
CREATE INDEX ix_messages_streaming ON messages (id) WHERE status = 'streaming';
CREATE INDEX ix_idempotency_keys_message_id ON idempotency_keys (message_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',3);
INSERT INTO "sqlite_sequence" VALUES('messages',10);
INSERT INTO "sqlite_sequence" VALUES('idempotency_keys',1);
COMMIT;
