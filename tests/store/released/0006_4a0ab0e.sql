BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
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
INSERT INTO "messages" VALUES(1,'0172c7cc-1ea6-4ab9-88ac-1705432abe86','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'d507154c-056f-4abd-ac9d-6fdabf2c9141','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9,100.25);
INSERT INTO "messages" VALUES(3,'0b029b77-f71b-4bca-be5c-e4cdf72cc3db','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'ac20e7ff-b4d0-4cfe-ac82-e026e193c406','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3,NULL);
INSERT INTO "messages" VALUES(5,'f761cd94-b6b1-4502-8b57-67e444009137','anna',1,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'f23a3d88-fa2a-4cc6-b942-47e1cde3edab','anna',1,'assistant','cancelled','2026-01-01 23:59:55.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4,NULL);
INSERT INTO "messages" VALUES(7,'33f9e420-12bd-4639-954a-9d6dbd8bee7b','ben',2,'user','complete','2026-01-01 23:59:57.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'6a62d948-e554-477e-919c-6ea68580c88b','ben',2,'assistant','interrupted','2026-01-01 23:59:57.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3,NULL);
INSERT INTO "messages" VALUES(9,'6fc60b4f-b4cf-4067-9e68-e85f824c434c','anna',1,'user','complete','2026-01-02 00:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'6732b193-8cec-4092-bff6-0a7d90551236','anna',1,'assistant','streaming','2026-01-02 00:00:00.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'583EE3E44C1302B6691127404EE362FD0384C37A69C9C515E8E14344E4909C4E','2026-01-02 00:00:03.000000');
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
INSERT INTO "sessions" VALUES(1,'89c71876-b1c1-46ae-b2ee-160ee34a4905','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-02 00:00:00.000000','device:robot-1');
INSERT INTO "sessions" VALUES(2,'341e93ef-80af-4abe-bd09-fb8f39428efd','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:57.000000',NULL);
INSERT INTO "sessions" VALUES(3,'fe96bcb3-8169-4ae3-8558-86acd9a4f373','anna-000003','anna','Empty','empty','2026-01-02 00:00:01.000000','2026-01-02 00:00:01.000000',NULL);
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
	day DATE NOT NULL, 
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
