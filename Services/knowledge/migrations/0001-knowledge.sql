-- Harmless where an administrator made it already.
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE business_configs (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    name text NOT NULL,
    type text NOT NULL,
    config_data jsonb NOT NULL CHECK (jsonb_typeof(config_data) = 'object'),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- What entries point at, so that none can belong to another workspace's configuration.
    UNIQUE (id, workspace_id)
);
CREATE INDEX business_configs_by_workspace ON business_configs (workspace_id, created_at, id);

-- Every version there has been. Kept when the configuration is deleted: it says what a past call ran on.
CREATE TABLE business_config_versions (
    config_id uuid NOT NULL,
    version bigint NOT NULL,
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    config_data jsonb NOT NULL,
    is_active boolean NOT NULL,
    changed_by uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (config_id, version)
);
CREATE INDEX business_config_versions_by_workspace ON business_config_versions (workspace_id);

CREATE TABLE entries (
    -- Document 003 types it as a number.
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    workspace_id uuid NOT NULL,
    -- null: for every business of the workspace
    business_id uuid,
    version bigint NOT NULL DEFAULT 1,
    title text NOT NULL,
    content text NOT NULL,
    source text,
    source_type text,
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT entries_business FOREIGN KEY (business_id, workspace_id) REFERENCES business_configs (id, workspace_id)
);
CREATE INDEX entries_by_workspace ON entries (workspace_id, id DESC);
CREATE INDEX entries_by_business ON entries (business_id, id DESC) WHERE business_id IS NOT NULL;

-- What is found: an entry's text in pieces short enough to be spoken from.
CREATE TABLE passages (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    entry_id bigint NOT NULL REFERENCES entries ON DELETE CASCADE,
    workspace_id uuid NOT NULL,
    business_id uuid,
    -- From 0 within the entry.
    position integer NOT NULL,
    body text NOT NULL,
    -- Title weighted A, body B.
    words tsvector NOT NULL,
    -- The distinct words counted in word_counts for this passage, so that a deletion takes exactly them back.
    terms text[] NOT NULL,
    -- What made the vector: vectors of different makers are never compared.
    model text,
    embedding vector(512),
    CHECK ((model IS NULL) = (embedding IS NULL)),
    UNIQUE (entry_id, position)
);
-- Beside the row instead of out of line: every search reads the vectors of its workspace. They are compared exactly, not
-- through an approximate index: a workspace has thousands of passages at most, and an index over all tenants would mostly
-- find those of others.
ALTER TABLE passages ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE INDEX passages_by_workspace ON passages (workspace_id);
CREATE INDEX passages_words ON passages USING gin (words);

-- In how many passages of a workspace a word occurs; the empty word counts all passages. Rare words tell more.
CREATE TABLE word_counts (
    workspace_id uuid NOT NULL,
    word text NOT NULL,
    passages bigint NOT NULL CHECK (passages >= 0),
    PRIMARY KEY (workspace_id, word)
);
CREATE INDEX word_counts_common ON word_counts (workspace_id, passages DESC);
