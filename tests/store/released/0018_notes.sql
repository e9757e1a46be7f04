BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0018');
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
	revoked_at DATETIME, tokens_per_day BIGINT, expires_at DATETIME, changes BIGINT DEFAULT '0' NOT NULL, used_day TEXT, used_tokens BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);
INSERT INTO "api_keys" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','sluice_aaaa','anna','laptop','chat',NULL,NULL,'2026-01-02 00:00:05.000000',NULL,NULL,1000,'2027-01-31 00:00:00.000000',1,'2026-01-02',7);
CREATE TABLE attachments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	created_at DATETIME NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT uq_attachments_uuid UNIQUE (uuid)
);
CREATE TABLE audit_log (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at DATETIME NOT NULL, 
	actor TEXT NOT NULL, 
	key_id INTEGER, 
	source TEXT NOT NULL, 
	action TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail JSON NOT NULL
);
INSERT INTO "audit_log" VALUES(1,'2026-01-01 00:00:02.000000','anna',1,'192.0.2.7','mode.switch','mqtt','{"before": "sse"}');
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
CREATE TABLE gateways (
	owner TEXT NOT NULL, 
	internal_url TEXT, 
	started_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_gateways PRIMARY KEY (owner)
);
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
CREATE TABLE kept_settings (
	name TEXT NOT NULL, 
	value JSON NOT NULL, 
	set_by TEXT NOT NULL, 
	key_id INTEGER, 
	source TEXT NOT NULL, 
	set_at DATETIME NOT NULL, 
	CONSTRAINT pk_kept_settings PRIMARY KEY (name)
);
INSERT INTO "kept_settings" VALUES('mode','{"mode": "mqtt", "setting": "sse"}','anna',1,'192.0.2.7','2026-01-01 00:00:02.000000');
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
	tool_calls JSON, tool_call_seqs JSON, last_seq BIGINT, response_ms FLOAT, parts BLOB, parent_id INTEGER, author TEXT DEFAULT '' NOT NULL, owner TEXT, epoch BIGINT DEFAULT '0' NOT NULL, handle JSON, error_retryable BOOLEAN, event_lengths BLOB, request BLOB, continued JSON, seams JSON, origin TEXT, client_id TEXT, 
	CONSTRAINT uq_messages_stream_id UNIQUE (stream_id), 
	CONSTRAINT fk_messages_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "messages" VALUES(1,'3c8c4acc-9ac9-4b6f-b950-ff680fc90502','anna',1,'user','complete','2026-01-01 23:59:52.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص .',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'user:anna',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'d7ed55a1-2fde-4a97-a6ed-48814982b1e0','anna',1,'assistant','complete','2026-01-01 23:59:52.000000','00000000000000000000000000000001','sse','token','tiny:1b','stop',NULL,NULL,3,4,7,12.5,41.5,'Grüße, 日本語, 👩‍👩‍👧 and ''quotes''
نص . ja','hm','[{"id": "c1", "name": "\u00f6ffnen", "arguments": "{\"tor\": \"s\u00fcd\"}"}]','[5]',9,100.25,NULL,1,'assistant:tiny:1b','gateway-1/0011223344556677',0,NULL,NULL,NULL,NULL,NULL,'[4]',NULL,NULL);
INSERT INTO "messages" VALUES(3,'a8fa6a31-a5d3-4f61-952f-38cb78134355','ben',2,'user','complete','2026-01-01 23:59:53.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Two',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'user:ben',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'8b48c5c9-ae76-41e5-8aae-214267bbdec5','ben',2,'assistant','failed','2026-01-01 23:59:53.000000','00000000000000000000000000000002','sse','token',NULL,'upstream_error','upstream_error','The model server broke off.',NULL,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL,3,NULL,NULL,3,'assistant:','gateway-1/0011223344556677',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(5,'db3fe7e6-fff4-4cfc-b438-4759cc6e7ab5','anna',1,'user','complete','2026-01-01 23:59:55.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Stop it',NULL,NULL,NULL,NULL,NULL,NULL,2,'user:anna',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'c-5');
INSERT INTO "messages" VALUES(6,'3e131762-0d15-4573-b857-a991b889a91a','anna',1,'assistant','cancelled','2026-01-01 23:59:55.000000','00000000000000000000000000000003','sse','token','tiny:1b','user_stop',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'half',NULL,NULL,NULL,4,NULL,NULL,5,'assistant:tiny:1b','gateway-1/0011223344556677',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(7,'8433e881-e2b0-49b3-bfb2-35244dcbd996','ben',2,'user','complete','2026-01-01 23:59:57.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Break',NULL,NULL,NULL,NULL,NULL,NULL,4,'user:ben',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(8,'14ec95d2-94fb-4ccd-852b-25516c4dfccc','ben',2,'assistant','interrupted','2026-01-01 23:59:57.000000','00000000000000000000000000000004','sse','token',NULL,'shutdown','draining','The gateway was stopped.',NULL,NULL,NULL,NULL,NULL,'cut',NULL,NULL,NULL,3,NULL,NULL,7,'assistant:','gateway-1/0011223344556677',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(9,'ece89e6f-edf5-4fd4-9b7d-b37b841596b8','anna',1,'user','complete','2026-01-02 00:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'Still streaming',NULL,NULL,NULL,NULL,NULL,NULL,6,'user:anna',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(10,'121982ad-f4a2-468b-a762-40983aa6b59c','anna',1,'assistant','streaming','2026-01-02 00:00:00.000000','00000000000000000000000000000005','sse','token',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'so far 👋',NULL,NULL,NULL,NULL,NULL,NULL,9,'assistant:','gateway-1/0011223344556677',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE room_members (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	session_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	role TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT uq_room_members_session_id_kind_name UNIQUE (session_id, kind, name), 
	CONSTRAINT fk_room_members_session_id_sessions FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "room_members" VALUES(1,1,'user','anna','owner','2026-01-01 00:00:02.000000');
INSERT INTO "room_members" VALUES(2,1,'user','ben','member','2026-01-01 00:00:02.000000');
INSERT INTO "room_members" VALUES(3,1,'device','robot-1','watcher','2026-01-01 00:00:02.000000');
CREATE TABLE secrets (
	name TEXT NOT NULL, 
	value BLOB NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_secrets PRIMARY KEY (name)
);
INSERT INTO "secrets" VALUES('tickets',X'B578850D526713AF6EAEC0A215F7E734CDC7D5898C11D33C9531291EB1E155DF','2026-01-02 00:00:03.000000');
CREATE TABLE sessions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	user_id TEXT NOT NULL, 
	title TEXT NOT NULL, 
	title_folded TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, thread TEXT, leaf_id INTEGER, 
	CONSTRAINT uq_sessions_uuid UNIQUE (uuid), 
	CONSTRAINT uq_sessions_key UNIQUE ("key")
);
INSERT INTO "sessions" VALUES(1,'7528e103-4046-4a1d-a94d-000ce433dd5f','anna-000001','anna','Grüße, 日本語, 👩‍👩‍👧 an','grüsse, 日本語, 👩‍👩‍👧 an','2026-01-01 23:59:52.000000','2026-01-02 00:00:00.000000','device:robot-1',NULL);
INSERT INTO "sessions" VALUES(2,'e9ca186f-2954-4ce9-81ae-cde47e4cb982','ben-000002','ben','Two','two','2026-01-01 23:59:53.000000','2026-01-01 23:59:57.000000',NULL,NULL);
INSERT INTO "sessions" VALUES(3,'e47b250b-bf97-4db7-a676-bcb8506e3a48','anna-000003','anna','Empty','empty','2026-01-02 00:00:01.000000','2026-01-02 00:00:01.000000',NULL,NULL);
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
CREATE INDEX ix_messages_children ON messages (session_id, parent_id, id);
CREATE INDEX ix_attachments_user_id ON attachments (user_id, id);
CREATE INDEX ix_room_members_name ON room_members (kind, name, role);
CREATE INDEX ix_messages_client_id ON messages (session_id, client_id) WHERE client_id IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',4);
INSERT INTO "sqlite_sequence" VALUES('messages',10);
INSERT INTO "sqlite_sequence" VALUES('idempotency_keys',1);
INSERT INTO "sqlite_sequence" VALUES('devices',1);
INSERT INTO "sqlite_sequence" VALUES('api_keys',1);
INSERT INTO "sqlite_sequence" VALUES('templates',1);
INSERT INTO "sqlite_sequence" VALUES('audit_log',1);
INSERT INTO "sqlite_sequence" VALUES('room_members',3);
COMMIT;
