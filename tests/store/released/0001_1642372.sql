BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
INSERT INTO "idempotency_keys" VALUES(1,'anna','schlüssel','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',2,'2026-01-01 23:59:51.000000');
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
	tool_calls JSON, 
	CONSTRAINT uq_messages_stream_id UNIQUE (stream_id), 
	CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'143427dd-ad4d-484b-af79-9ce3ba64ca76','anna',1,'user','complete','2026-01-01 23:59:51.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL);
INSERT INTO "messages" VALUES(2,'5daf1361-c220-41e9-aa3a-45a1ccc859f3','anna',1,'assistant','complete','2026-01-01 23:59:51.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]');
INSERT INTO "messages" VALUES(3,'f56a75b8-52e1-46b3-8f87-f87ff4f5ed30','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL);
INSERT INTO "messages" VALUES(4,'d1edb270-20bd-4530-88a6-3a9a6f2b433f','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL);
INSERT INTO "messages" VALUES(5,'d97f2923-7f9f-40e8-a149-479e59326096','anna',1,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL);
INSERT INTO "messages" VALUES(6,'f94fca40-db12-45db-8c3d-b5970953a89b','anna',1,'assistant','cancelled','2026-01-01 23:59:55.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL);
INSERT INTO "messages" VALUES(7,'f7cfcd21-8938-44e4-8a26-b4af2ff7bac3','ben',2,'user','complete','2026-01-01 23:59:56.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL);
INSERT INTO "messages" VALUES(8,'7f8edd2a-2635-4ea5-bcf5-f14ce71c94f1','ben',2,'assistant','interrupted','2026-01-01 23:59:56.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL);
INSERT INTO "messages" VALUES(9,'db5b24ea-89bd-4e64-8b19-ead4cbb9df1d','anna',1,'user','complete','2026-01-01 23:59:57.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL);
INSERT INTO "messages" VALUES(10,'80c98d13-51e6-4409-bce4-2bad00f611ec','anna',1,'assistant','streaming','2026-01-01 23:59:57.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL);
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
INSERT INTO "sessions" VALUES(1,'fdcac342-2645-48fe-b213-2830a91276e2','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-01 23:59:57.000000');
INSERT INTO "sessions" VALUES(2,'a6e31edb-c247-4682-bb8e-2097162b4618','ben-000002','ben','Two','two','2026-01-01 23:59:54.000000','2026-01-01 23:59:56.000000');
INSERT INTO "sessions" VALUES(3,'b04538e0-3e9b-4c22-bf3c-8fd990056626','anna-000003','anna','Empty','empty','2026-01-01 23:59:58.000000','2026-01-01 23:59:58.000000');
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
